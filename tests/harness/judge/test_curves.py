"""Curves pass through what counting gives, and between thresholds as published."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import metrics as reference

from harness.judge.curves import counts, curves, precisions, sensitivities
from tests.harness.judge.invented import level, noisy

LABELS = np.repeat([0, 1], 100)
rows = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from([0.0, 0.5, 1.0]) | st.floats(0, 1)),
    min_size=2,
    max_size=40,
)


def curve(kind: str, labels: np.ndarray, chances: np.ndarray) -> np.ndarray:
    found = next(each for each in curves(level(labels, chances), arm="a") if each.kind == kind)
    assert found.x == pytest.approx(np.linspace(0, 1, 101).tolist())
    return np.array(found.y)


def test_sensitivity_is_what_counting_gives_where_each_host_is_a_step() -> None:
    chances = np.random.default_rng(0).normal(LABELS, 1).clip(-3, 4) / 8 + 0.4
    hosts = np.sort(chances[:100])[::-1]
    found = curve("roc", LABELS, chances)
    for alarms in range(100):
        # just above the next host, so that this many are called
        assert found[alarms] == pytest.approx(np.mean(chances[100:] > hosts[alarms]))
    assert found[100] == 1


def test_precision_is_what_counting_gives_where_each_viral_row_is_a_step() -> None:
    chances = np.random.default_rng(1).normal(LABELS, 1).clip(-3, 4) / 8 + 0.4
    viral = np.sort(chances[100:])[::-1]
    found = curve("pr", LABELS, chances)
    for hits in range(1, 101):
        alarms = np.count_nonzero(chances[:100] >= viral[hits - 1])
        assert found[hits] == pytest.approx(hits / (hits + alarms))


def test_precision_between_thresholds_is_davis_and_goadrichs_worked_example() -> None:
    # Davis and Goadrich 2006, section 4: 20 viral rows of 2,020, thresholds at (TP, FP) of
    # (5, 5) and (10, 30), precision at recalls 0.25 to 0.5
    found = precisions(np.array([0, 5, 30, 2000]), np.array([0, 5, 10, 20]))
    assert found[[25, 30, 35, 40, 45, 50]] == pytest.approx(
        [0.500, 0.375, 0.318, 0.286, 0.265, 0.250], abs=5e-4
    )


def test_sensitivity_between_thresholds_lies_on_a_straight_line() -> None:
    found = sensitivities(np.array([0, 0, 2, 2, 4]), np.array([0, 1, 2, 5, 10]))
    # from (0, 1) to (2, 2), up to (2, 5), and on to (4, 10), of 4 and 10
    assert found[[0, 25, 49, 50, 75, 100]] == pytest.approx([0.1, 0.15, 0.198, 0.5, 0.75, 1.0])


def test_recall_zero_has_the_limit_of_precision() -> None:
    assert precisions(np.array([0, 1, 4]), np.array([0, 3, 4]))[0] == pytest.approx(0.75)
    # a host above all viral rows: precision starts from nothing
    assert precisions(np.array([0, 1, 4]), np.array([0, 0, 4]))[0] == pytest.approx(0, abs=1e-6)


@given(rows)
def test_counts_are_those_of_scikit_learns_curve(drawn: list[tuple[int, float]]) -> None:
    labels, chances = (np.array(each) for each in zip(*drawn, strict=True))
    assume(len(set(labels.tolist())) == 2)
    alarms, hits = counts(labels, chances)
    rates = reference.roc_curve(labels, chances, drop_intermediate=False)
    assert (alarms / alarms[-1]).tolist() == pytest.approx(rates[0].tolist())
    assert (hits / hits[-1]).tolist() == pytest.approx(rates[1].tolist())


@given(rows)
def test_curves_stay_between_nothing_and_everything(drawn: list[tuple[int, float]]) -> None:
    labels, chances = (np.array(each) for each in zip(*drawn, strict=True))
    assume(len(set(labels.tolist())) == 2)
    roc, pr = curve("roc", labels, chances), curve("pr", labels, chances)
    assert (np.diff(roc) >= -1e-12).all()
    assert roc[-1] == 1
    assert ((pr >= 0) & (pr <= 1)).all()
    assert pr[-1] >= labels.mean() - 1e-12


def test_a_mean_roc_curve_holds_the_mean_area() -> None:
    chances = noisy(LABELS, seeds=4)
    found = next(each for each in curves(level(LABELS, chances), arm="a") if each.kind == "roc")
    expected = np.mean([reference.roc_auc_score(LABELS, each) for each in chances])
    assert reference.auc(found.x, found.y) == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize("kind", ["roc", "pr"])
def test_a_curve_over_seeds_is_the_mean_of_their_curves(kind: str) -> None:
    chances = noisy(LABELS, seeds=3)
    alone = [curve(kind, LABELS, each) for each in chances]
    assert curve(kind, LABELS, chances) == pytest.approx(np.mean(alone, axis=0))


def test_constant_probabilities_give_the_diagonal_and_the_prevalence() -> None:
    labels = np.repeat([0, 1], [30, 10])
    assert curve("roc", labels, np.full(40, 0.3)) == pytest.approx(np.linspace(0, 1, 101))
    assert curve("pr", labels, np.full(40, 0.3)) == pytest.approx(0.25)


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_alone_has_no_curve(label: int) -> None:
    assert curves(level([label] * 4, [0.1, 0.2, 0.3, 0.4]), arm="a") == ()
