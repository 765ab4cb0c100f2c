"""Thresholds are the lowest that reach a specificity, and rates are counted at them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from harness.evidence import OperatingPoint
from harness.judge.evaluation import Level
from harness.judge.operating import operating_points, threshold_at
from harness.results import find, to_json
from tests.harness.judge.invented import level, noisy

LABELS = np.arange(500) % 2
BASELINE = level(LABELS, noisy(LABELS, seeds=3, noise=0.25))
CANDIDATE = level(LABELS, noisy(LABELS, seeds=3, noise=0.2, seed=1))
POINTS = operating_points(BASELINE, CANDIDATE)
OWN, KEPT = "specificity ≥ 0.95, own threshold", "specificity ≥ 0.95, baseline's threshold"
STRICT = "specificity ≥ 0.99, own threshold"


def point(arm: str, rule: str) -> OperatingPoint:
    found = find(POINTS, arm=arm, rule=rule)
    assert found is not None
    return found


def test_every_rule_is_tried_on_both_arms() -> None:
    assert [(each.arm, each.rule) for each in POINTS] == [
        (arm, rule)
        for rule in ("threshold 0.5", OWN, KEPT, STRICT)
        for arm in ("baseline", "candidate")
    ]


@pytest.mark.parametrize("each", POINTS, ids=lambda each: f"{each.arm}, {each.rule}")
def test_rates_are_scikit_learns_on_rows_and_seeds_pooled(each: OperatingPoint) -> None:
    arm = BASELINE if each.arm == "baseline" else CANDIDATE
    truth = np.tile(LABELS, 3)
    called = arm.probabilities.astype(np.float64).ravel() >= each.threshold
    assert each.sensitivity == pytest.approx(reference.recall_score(truth, called))
    assert each.specificity == pytest.approx(reference.recall_score(truth, called, pos_label=0))
    assert each.precision == pytest.approx(reference.precision_score(truth, called))


def test_a_kept_threshold_is_the_baselines_on_both_arms() -> None:
    own = point("baseline", OWN)
    assert point("baseline", KEPT).threshold == own.threshold
    assert point("candidate", KEPT).threshold == own.threshold
    assert point("candidate", OWN).threshold != own.threshold


chances = st.lists(
    st.sampled_from([0.0, 0.5, 1.0]) | st.floats(0, 1, width=32), min_size=1, max_size=60
)


@given(chances, chances, st.sampled_from([95, 99]))
def test_a_threshold_reaches_the_specificity_and_no_lower_probability_does(
    hosts: list[float], viral: list[float], percent: int
) -> None:
    arm = level([0] * len(hosts) + [1] * len(viral), hosts + viral)
    found = threshold_at(arm, percent)
    seen = np.array(hosts, dtype=np.float64)
    assert 100 * np.count_nonzero(seen < found) >= percent * len(hosts)
    for lower in hosts + viral:
        if lower < found:
            assert 100 * np.count_nonzero(seen < lower) < percent * len(hosts)


def test_a_hundred_hosts_leave_five_above_the_threshold() -> None:
    arm = level([0] * 100 + [1], [*(np.arange(100) / 128), 1.0])
    assert threshold_at(arm, 95) == 95 / 128
    assert threshold_at(arm, 99) == 99 / 128


def test_hosts_that_are_certainly_viral_leave_nothing_called() -> None:
    arm = level([0, 0, 1, 1], [1.0, 1.0, 1.0, 1.0])
    own = find(operating_points(arm, arm), arm="baseline", rule=OWN)
    assert own is not None
    assert own.threshold > 1
    assert (own.sensitivity, own.specificity, own.precision) == (0, 1, None)
    assert "NaN" not in to_json(own)


def rules(arm: Level) -> set[str]:
    return {each.rule for each in operating_points(arm, arm)}


def test_a_specificity_of_99_percent_is_sought_with_200_hosts_only() -> None:
    assert STRICT not in rules(level([0] * 199 + [1], np.arange(200) / 200))
    assert STRICT in rules(level([0] * 200 + [1], np.arange(201) / 201))


def test_without_hosts_only_one_half_is_left() -> None:
    arm = level([1, 1], [0.2, 0.7])
    assert rules(arm) == {"threshold 0.5"}
    found = operating_points(arm, arm)[0]
    assert (found.sensitivity, found.specificity, found.precision) == (0.5, None, 1)
