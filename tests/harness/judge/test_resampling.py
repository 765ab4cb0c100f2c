"""Secondary metrics equal scikit-learn's, and their intervals those of a plain loop."""

from __future__ import annotations

import math
import time
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as reference

from embedders.errors import InputError
from harness.evidence import Estimate, Secondary
from harness.judge import resampling
from harness.judge.resampling import METRICS, Ranking, secondary
from harness.results import to_json
from tests.harness.judge.invented import level, noisy

MEMBER = np.repeat(np.arange(14), [1, 2, 3, 4, 5, 6, 7, 8, 3, 4, 5, 6, 7, 3])
LABELS = (MEMBER % 2 ^ (np.arange(len(MEMBER)) % 9 == 0)).astype(np.int64)
BASELINE = level(LABELS, noisy(LABELS, seeds=3), MEMBER)
CANDIDATE = level(LABELS, noisy(LABELS, seeds=3, noise=0.4, seed=1), MEMBER)

rows = st.lists(
    st.tuples(
        st.integers(0, 1), st.integers(0, 5), st.sampled_from([0, 0.25, 0.5, 1]) | st.floats(0, 1)
    ),
    min_size=2,
    max_size=40,
)


@given(rows, st.lists(st.integers(0, 3), min_size=6, max_size=6))
def test_weighted_areas_equal_scikit_learns(
    drawn: list[tuple[int, int, float]], multiplicities: list[int]
) -> None:
    labels, member, chances = (np.array(each) for each in zip(*drawn, strict=True))
    weights = np.array(multiplicities, dtype=np.float64)
    of_rows = weights[member]
    assume(of_rows[labels == 1].sum() and of_rows[labels == 0].sum())
    roc, pr = Ranking.of(labels, member, chances).areas(weights[:, np.newaxis])
    kept = of_rows > 0  # scikit-learn would add a threshold where nothing is
    known = labels[kept], chances[kept]
    weighted = {"sample_weight": of_rows[kept]}
    assert roc[0] == pytest.approx(reference.roc_auc_score(*known, **weighted))
    assert pr[0] == pytest.approx(reference.average_precision_score(*known, **weighted))


def by_scikit_learn(labels: NDArray[np.int64], chances: NDArray[np.float64]) -> list[float]:
    called = chances >= 0.5
    return [
        reference.f1_score(labels, called),
        reference.matthews_corrcoef(labels, called),
        reference.roc_auc_score(labels, chances),
        reference.average_precision_score(labels, chances),
        reference.brier_score_loss(labels, chances),
    ]


def means(chances: NDArray[np.float32], kept: NDArray[np.intp]) -> NDArray[np.float64]:
    """Metrics of the rows kept, as often as each is named, averaged over the seeds given."""
    each = [by_scikit_learn(LABELS[kept], one[kept].astype(np.float64)) for one in chances]
    return np.asarray(np.mean(each, axis=0))


def test_values_are_means_over_seeds_of_scikit_learns() -> None:
    records, _ = secondary(BASELINE, CANDIDATE, resamples=1)
    everything = np.arange(len(LABELS))
    old = means(BASELINE.probabilities, everything)
    new = means(CANDIDATE.probabilities, everything)
    assert tuple(each.metric for each in records) == METRICS
    assert [each.baseline.value for each in records] == pytest.approx(old.tolist())
    assert [each.candidate.value for each in records] == pytest.approx(new.tolist())
    assert [each.difference.value for each in records] == pytest.approx((new - old).tolist())


def plain_loop(resamples: int, seed: int) -> dict[str, NDArray[np.float64]]:
    """Write every resample out row by row, and let scikit-learn judge it."""
    of_groups, of_seeds = np.random.default_rng(seed).spawn(2)
    # groups are numbered in the order of their names, which are texts
    rows_of = [
        np.flatnonzero(np.array(BASELINE.groups) == name) for name in sorted(set(BASELINE.groups))
    ]
    old, new = [], []
    for _ in range(resamples):
        times = of_groups.multinomial(14, np.full(14, 1 / 14))
        taken = np.concatenate(
            [np.tile(own, count) for own, count in zip(rows_of, times, strict=True)]
        )
        seeds = np.repeat(np.arange(3), of_seeds.multinomial(3, np.full(3, 1 / 3)))
        old.append(means(BASELINE.probabilities[seeds], taken))
        new.append(means(CANDIDATE.probabilities[seeds], taken))
    both = np.array(old), np.array(new)
    return {"baseline": both[0], "candidate": both[1], "difference": both[1] - both[0]}


def test_intervals_are_the_percentiles_of_a_plain_loop_over_written_out_resamples() -> None:
    records, used = secondary(BASELINE, CANDIDATE, resamples=25, seed=7)
    assert used == 25
    for which, values in plain_loop(25, seed=7).items():
        found = [getattr(each, which) for each in records]
        expected = np.percentile(values, [2.5, 97.5], axis=0)
        assert [each.lower for each in found] == pytest.approx(expected[0].tolist())
        assert [each.upper for each in found] == pytest.approx(expected[1].tolist())


def test_how_many_resamples_are_worked_on_at_once_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = secondary(BASELINE, CANDIDATE, resamples=50)
    monkeypatch.setattr(resampling, "CELLS_AT_ONCE", 7 * len(LABELS))
    for one, other in zip(secondary(BASELINE, CANDIDATE, resamples=50)[0], whole[0], strict=True):
        assert one.metric == other.metric
        for which in ("baseline", "candidate", "difference"):
            pair = astuple(getattr(one, which)), astuple(getattr(other, which))
            assert pair[0] == pytest.approx(pair[1])


def of(records: tuple[Secondary, ...], metric: str) -> Secondary:
    return next(each for each in records if each.metric == metric)


def bounds(estimate: Estimate) -> tuple[float, float]:
    assert estimate.lower is not None
    assert estimate.upper is not None
    return estimate.lower, estimate.upper


def test_rows_that_are_groups_give_the_textbook_interval_of_a_mean() -> None:
    labels = np.arange(2000) % 2
    one = level(labels, noisy(labels, seeds=1))
    lower, upper = bounds(of(secondary(one, one, resamples=2000)[0], "brier").baseline)
    squares = (one.probabilities[0].astype(np.float64) - labels) ** 2
    half = 1.96 * squares.std(ddof=1) / math.sqrt(2000)
    assert (lower, upper) == pytest.approx((squares.mean() - half, squares.mean() + half), rel=0.01)


def test_seeds_that_differ_widen_the_interval_where_groups_do_not() -> None:
    labels = np.arange(40) % 2
    drift = np.linspace(0.1, 0.2, 5)[:, np.newaxis]
    old = level(labels, np.where(labels, 1 - drift, drift), np.arange(40) // 2)
    lower, upper = bounds(of(secondary(old, old)[0], "brier").baseline)
    assert lower < np.mean(drift**2) < upper


def test_identical_arms_differ_by_exactly_nothing() -> None:
    for each in secondary(BASELINE, BASELINE, resamples=100)[0]:
        assert astuple(each.difference) == (0, 0, 0)
        assert each.baseline == each.candidate


def test_order_of_rows_does_not_matter() -> None:
    order = np.random.default_rng(3).permutation(len(LABELS))
    shuffled = [
        level(LABELS[order], each.probabilities[:, order], MEMBER[order])
        for each in (BASELINE, CANDIDATE)
    ]
    pairs = zip(
        secondary(*shuffled, resamples=50)[0],
        secondary(BASELINE, CANDIDATE, resamples=50)[0],
        strict=True,
    )
    for one, other in pairs:
        assert astuple(one.difference) == pytest.approx(astuple(other.difference), abs=1e-12)


def test_resamples_without_one_of_the_classes_are_left_out_and_counted() -> None:
    # 4 of 60 groups are viral: (56/60)^60 = 1.6% of the resamples hold none of them
    labels = (np.arange(60) < 4).astype(np.int64)
    one = level(labels, noisy(labels, seeds=2))
    records, used = secondary(one, one, resamples=1000)
    assert 1000 - used == pytest.approx(16, abs=4 * math.sqrt(16))
    bounds(of(records, "brier").baseline)


def test_no_interval_where_too_many_resamples_lack_a_class() -> None:
    # 2 of 60: (58/60)^60 = 13%
    labels = (np.arange(60) < 2).astype(np.int64)
    one = level(labels, noisy(labels, seeds=2))
    records, used = secondary(one, one, resamples=1000)
    assert 1000 - used == pytest.approx(131, abs=4 * math.sqrt(131))
    for each in records:
        assert each.baseline.value is not None
        assert (each.baseline.lower, each.difference.upper) == (None, None)


@pytest.mark.parametrize(
    ("labels", "groups", "undefined"),
    [
        ([0, 0, 0, 1], [0, 1, 2, 3], set()),  # a single viral group
        ([0, 1, 0, 1], [0, 0, 0, 0], set()),
        ([0, 0, 0, 0], None, {"f1", "mcc", "roc_auc", "pr_auc"}),
        ([1, 1, 1, 1], None, {"mcc", "roc_auc"}),
    ],
)
def test_with_fewer_than_two_groups_of_a_class_there_is_no_interval(
    labels: list[int], groups: list[int] | None, undefined: set[str]
) -> None:
    chances = [[0.1, 0.2, 0.3, 0.4], [0.2, 0.2, 0.3, 0.1]]
    one = level(labels, chances, groups)
    records, used = secondary(one, one)
    assert used == 0
    assert "NaN" not in to_json(records)
    for each in records:
        # nothing is called viral, so that Matthews' coefficient is undefined throughout
        missing = each.metric in undefined | {"mcc"}
        assert (each.baseline.value is None) == missing
        assert (each.baseline.lower, each.baseline.upper) == (None, None)


def test_constant_probabilities_leave_no_nan() -> None:
    labels = np.arange(40) % 2
    flat = level(labels, np.full((2, 40), 0.5))
    records, used = secondary(flat, flat, resamples=200)
    assert used == 200
    assert "NaN" not in to_json(records)
    assert of(records, "mcc").baseline == Estimate(None, None, None)
    assert of(records, "roc_auc").baseline == Estimate(0.5, 0.5, 0.5)


def test_no_resamples_are_refused() -> None:
    with pytest.raises(InputError, match="at least 1, not 0"):
        secondary(BASELINE, CANDIDATE, resamples=0)


def test_a_decision_with_ten_seeds_takes_seconds() -> None:
    labels = np.arange(2000) // 20 % 2
    arms = [
        level(labels, noisy(labels, seeds=10, seed=each), np.arange(2000) // 20) for each in (0, 1)
    ]
    before = time.process_time()
    secondary(*arms, resamples=1000)
    assert time.process_time() - before < 5
