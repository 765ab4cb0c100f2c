"""Every place comes once, pools are bounded, and each is a fair cross-section of the whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier.shuffling import RUN_ROWS, pools

SEEDS = st.integers(0, 2**32)


def drawn(count: int, pool_rows: int, seed: int = 0) -> list[np.ndarray]:
    return list(pools(count, pool_rows, np.random.default_rng(seed)))


@settings(deadline=None)
@given(count=st.integers(1, 2000), pool_rows=st.integers(1, 900), seed=SEEDS)
def test_every_place_comes_exactly_once(count: int, pool_rows: int, seed: int) -> None:
    order = np.concatenate(drawn(count, pool_rows, seed))
    np.testing.assert_array_equal(np.sort(order), np.arange(count))


@settings(deadline=None)
@given(count=st.integers(1, 2000), pool_rows=st.integers(1, 900), seed=SEEDS)
def test_no_pool_is_larger_than_asked_but_for_one_run(
    count: int, pool_rows: int, seed: int
) -> None:
    assert max(map(len, drawn(count, pool_rows, seed))) <= max(pool_rows, RUN_ROWS)


@settings(deadline=None)
@given(count=st.integers(1, 500), seed=SEEDS)
def test_what_fits_in_one_pool_is_permuted_uniformly(count: int, seed: int) -> None:
    (order,) = drawn(count, 500, seed)
    np.testing.assert_array_equal(order, np.random.default_rng(seed).permutation(count))


def test_same_seed_gives_the_same_order_and_another_another() -> None:
    first, again, other = (np.concatenate(drawn(5000, 700, seed)) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_classes_of_batches_vary_no_more_than_in_a_uniform_shuffle_though_rows_are_sorted(
    share: float,
) -> None:
    count, batch = 100_000, 250
    labels = np.arange(count) >= (1 - share) * count
    viral = []
    for seed in range(10):
        order = np.concatenate(drawn(count, 5_000, seed))
        viral.append(labels[order].reshape(-1, batch).sum(axis=1))
    # of a batch drawn without replacement: the hypergeometric distribution
    expected = batch * share * (1 - share) * (count - batch) / (count - 1)
    # 4,000 batches: the standard error of a variance is its square root of 2 / 4,000, 2.2%
    assert np.var(np.concatenate(viral)) / expected < 1.07
    assert np.mean(np.concatenate(viral)) == pytest.approx(batch * share)


def test_pools_have_equal_parts_of_each_stretch_of_the_rows() -> None:
    count, pool_rows = 64_000, 4_000
    for pool in drawn(count, pool_rows):
        per_tenth = np.histogram(pool, bins=10, range=(0, count))[0]
        # in 400 rows of a tenth at most the two runs at its edges are too many or missing
        assert np.abs(per_tenth - len(pool) / 10).max() <= 2 * RUN_ROWS + 1


def test_neighbours_come_in_one_pool_but_where_a_run_ends_which_differs_from_epoch_to_epoch() -> (
    None
):
    count, pool_rows, epochs = 20_000, 1_000, 160
    apart = np.zeros(count - 1)
    for seed in range(epochs):
        pool_of = np.empty(count, dtype=int)
        for number, pool in enumerate(drawn(count, pool_rows, seed)):
            pool_of[pool] = number
        apart += pool_of[1:] != pool_of[:-1]
    # a run ends at every 16th pair; the next comes in another pool, as of 20 runs each pool gets
    # one, but for the first of the next 20, which comes in the same pool 1 time in 20
    expected = (1 - 1 / 20 / 20) / RUN_ROWS
    assert apart.mean() / epochs == pytest.approx(expected, rel=0.02)
    # of 160 epochs each pair is apart in 10 on average, and hardly ever in none or in more than 30
    assert apart.max() < 30
