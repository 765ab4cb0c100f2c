"""Batches of an epoch: every row once, of like lengths, by chance alone."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from embedders.batching import batch_cost
from harness.tuning.batches import POOL_BATCHES, epoch_batches

LENGTHS = st.lists(st.integers(1, 1024), max_size=400)


@given(LENGTHS, st.integers(1, 9), st.integers(0, 2**32))
def test_every_row_comes_once_in_batches_of_the_size_asked(
    lengths: list[int], rows: int, seed: int
) -> None:
    batches = epoch_batches(lengths, rows, np.random.default_rng(seed))
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    # only the last pool may be cut short, by its last batch
    assert sum(len(batch) < rows for batch in batches) <= 1


def test_batches_are_another_draw_under_another_seed_and_the_same_under_the_same() -> None:
    lengths = list(range(100))
    one, two, again = (epoch_batches(lengths, 4, np.random.default_rng(s)) for s in (1, 2, 1))
    assert one != two
    assert one == again
    assert [sorted(batch) for batch in one] != [sorted(batch) for batch in two]


def test_batches_of_like_lengths_cost_less_padding_than_chance() -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(10, 1000, size=8 * POOL_BATCHES * 4).tolist()

    def cost(batches: list[list[int]]) -> int:
        return sum(batch_cost([lengths[row] for row in batch]) for batch in batches)

    drawn = rng.permutation(len(lengths)).reshape(-1, 8).tolist()
    # by chance the longest of 8 is nearly twice the mean; in a sorted pool hardly above it
    assert cost(epoch_batches(lengths, 8, rng)) < 0.65 * cost(drawn)
