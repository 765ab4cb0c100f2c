"""Calibration errors equal the published formulas, and chance alone is not taken for one."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from harness.judge.calibration import calibration, equal_mass
from harness.results import to_json
from tests.harness.judge.invented import level


def by_kumar(labels: np.ndarray, chances: np.ndarray, bins: int) -> tuple[float, float]:
    """Debiased and plain error as in Kumar, Liang and Ma 2019: rows drawn one by one.

    Their own package (uncertainty-calibration 0.1.4, ``unbiased_l2_ce`` and ``plugin_ce``) gives
    the same on these bins.
    """
    order = np.argsort(chances)
    squared = plain = 0.0
    for rows in np.array_split(order, bins):
        predicted, observed = chances[rows].mean(), labels[rows].mean()
        variance = observed * (1 - observed) / (len(rows) - 1)
        squared += len(rows) / len(order) * ((predicted - observed) ** 2 - variance)
        plain += len(rows) / len(order) * abs(predicted - observed)
    return math.sqrt(max(0.0, squared)), plain


def test_rows_drawn_one_by_one_give_the_published_estimators() -> None:
    random = np.random.default_rng(0)
    chances = random.random(1500).astype(np.float32).astype(np.float64)
    labels = (random.random(1500) < np.clip(chances + 0.1, 0, 1)).astype(np.int64)
    found = calibration(level(labels, chances), arm="baseline")
    assert (found.error, found.plain_error) == pytest.approx(by_kumar(labels, chances, 15))
    assert found.arm == "baseline"


def test_the_same_rows_under_more_seeds_are_no_more_evidence() -> None:
    random = np.random.default_rng(1)
    chances = random.random(600).astype(np.float32)
    labels = (random.random(600) < 0.5).astype(np.int64)
    once = calibration(level(labels, chances), arm="a")
    often = calibration(level(labels, np.tile(chances, (10, 1))), arm="a")
    assert often.error == pytest.approx(once.error)
    assert often.plain_error == pytest.approx(once.plain_error)
    assert [each.rows for each in often.bins] == [10 * each.rows for each in once.bins]


def test_the_error_is_right_on_average_where_rows_of_a_group_go_together() -> None:
    random = np.random.default_rng(2)
    member = np.repeat(np.arange(120), 5)
    squares, plain = [], []
    for _ in range(200):
        truth = random.random(120)
        labels = (random.random(120) < truth).astype(np.int64)[member]
        off = np.clip(truth * 0.6 + 0.2, 0, 1)[member]  # off by 0.4 · (truth - 1/2)
        found = calibration(level(labels, off, member), arm="a")
        squares.append(found.error**2)
        plain.append(found.plain_error)
    # the gap is uniform between -0.2 and 0.2: its mean square is 0.04/3, its mean size 0.1
    assert np.sqrt(np.mean(squares)) == pytest.approx(0.2 / math.sqrt(3), rel=0.1)
    assert np.mean(plain) > 0.14


def test_bins_are_scikit_learns_quantiles_where_no_two_rows_tie() -> None:
    random = np.random.default_rng(3)
    chances = random.permutation(np.arange(1, 751) / 1000)
    labels = (random.random(750) < chances).astype(np.int64)
    found = calibration(level(labels, chances), arm="a").bins
    observed, predicted = calibration_curve(labels, chances, n_bins=15, strategy="quantile")
    assert [each.rows for each in found] == [50] * 15
    assert [each.observed for each in found] == pytest.approx(observed.tolist())
    assert [each.predicted for each in found] == pytest.approx(predicted.tolist(), abs=1e-6)


values = st.lists(
    st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]) | st.floats(0, 1), min_size=1, max_size=80
)


@given(values, st.integers(1, 15), st.randoms())
def test_bins_depend_on_values_alone_and_ascend(
    drawn: list[float], bins: int, random: Random
) -> None:
    found = equal_mass(np.array(drawn), bins=bins)
    shuffled = list(range(len(drawn)))
    random.shuffle(shuffled)
    again = equal_mass(np.array([drawn[place] for place in shuffled]), bins=bins)
    assert again.tolist() == found[shuffled].tolist()
    ranked = found[np.argsort(drawn, kind="stable")]
    assert set(np.diff(ranked)) <= {0, 1}
    assert ranked[0] == 0
    assert ranked[-1] < bins


@given(st.integers(1, 200), st.integers(1, 15))
def test_bins_without_ties_differ_by_one_row_at_most(count: int, bins: int) -> None:
    sizes = np.bincount(equal_mass(np.arange(count) / count, bins=bins))
    assert len(sizes) == min(count, bins)
    assert sizes.max() - sizes.min() <= 1


def test_order_of_rows_does_not_matter_where_probabilities_tie() -> None:
    labels = np.array([0, 1] * 60)
    chances = np.repeat([0.25, 0.5, 0.75], 40)
    order = np.random.default_rng(4).permutation(120)
    one = calibration(level(labels, chances, np.arange(120) // 4), arm="a")
    other = calibration(level(labels[order], chances[order], order // 4), arm="a")
    assert one == other
    assert [each.rows for each in one.bins] == [40, 40, 40]


@pytest.mark.parametrize(("rows", "bins"), [(1, 1), (19, 1), (20, 2), (149, 14), (1000, 15)])
def test_few_rows_have_few_bins(rows: int, bins: int) -> None:
    labels = np.arange(rows) % 2
    found = calibration(level(labels, np.arange(rows) / rows), arm="a")
    assert len(found.bins) == bins
    assert "NaN" not in to_json(found)


@pytest.mark.parametrize("groups", [None, [0] * 40])
@pytest.mark.parametrize("labels", [[0] * 40, [1] * 40, [0, 1] * 20])
def test_degenerate_rows_have_finite_errors(labels: list[int], groups: list[int] | None) -> None:
    found = calibration(level(labels, np.full((2, 40), 0.5), groups), arm="a")
    assert len(found.bins) == 1
    assert found.plain_error == pytest.approx(abs(np.mean(labels) - 0.5))
    assert 0 <= found.error <= found.plain_error
    assert "NaN" not in to_json(found)


def test_a_run_of_ties_goes_where_its_middle_lies() -> None:
    # two bins of two rows each: most of the run is in the lower, or its middle in the upper
    assert equal_mass(np.array([0.1, 0.1, 0.1, 0.2]), bins=2).tolist() == [0, 0, 0, 1]
    assert equal_mass(np.array([0.1, 0.2, 0.2, 0.2]), bins=2).tolist() == [0, 1, 1, 1]
