"""A later run is held against an earlier one only where the two answer the same question."""

from __future__ import annotations

from dataclasses import replace

import pytest

from embedders import InputError
from harness.costs import Speedup
from harness.evidence import Decision
from harness.judge.regression import regression_gates
from harness.results import Comparison
from harness.spec import ArmName, ClassificationPlan
from tests.harness.example_run import classification, comparison


def decisions(current: Comparison, earlier: Comparison) -> dict[str, Decision]:
    return {gate.name: gate.decision for gate in regression_gates(current, earlier)}


SENSITIVITY = "d: sensitivity per chunk"
SPEED = "speed-up of candidate over baseline"


def test_equal_runs_pass() -> None:
    run = comparison()
    assert set(decisions(run, run).values()) == {Decision.PASS}


@pytest.mark.parametrize(("recall_in_100", "decision"), [(84, Decision.PASS), (82, Decision.FAIL)])
def test_a_rate_may_fall_by_the_margin_and_no_further(
    recall_in_100: int, decision: Decision
) -> None:
    earlier = comparison()  # the candidate's recall is 0.89, the margin 0.05
    results = (earlier.classification[0], classification(ArmName.CANDIDATE, recall_in_100))
    current = replace(earlier, classification=results)
    assert decisions(current, earlier)[SENSITIVITY] is decision


def test_a_rate_that_is_missing_now_is_not_measured() -> None:
    current = replace(comparison(), classification=())
    assert decisions(current, comparison())[SENSITIVITY] is Decision.NOT_MEASURED


@pytest.mark.parametrize(
    ("lower", "upper", "decision"), [(1.8, 1.95, Decision.PASS), (1.7, 1.85, Decision.FAIL)]
)
def test_speed_fails_when_the_intervals_part(
    lower: float, upper: float, decision: Decision
) -> None:
    earlier = comparison()  # its interval is 1.9 to 2.1
    slower = Speedup((1.0,), (0.5,), (lower + upper) / 2, lower, upper, 0.95)
    assert decisions(replace(earlier, speedup=slower), earlier)[SPEED] is decision


def test_speed_of_another_machine_is_not_compared() -> None:
    earlier = comparison()
    machine = replace(earlier.provenance.machine, processor="another")
    current = replace(earlier, provenance=replace(earlier.provenance, machine=machine))
    assert decisions(current, earlier)[SPEED] is Decision.NOT_MEASURED


def test_runs_with_other_folds_are_refused() -> None:
    earlier = comparison()
    spec = replace(earlier.spec, classification=ClassificationPlan(folds=3))
    with pytest.raises(InputError, match="classification plan differ"):
        regression_gates(replace(earlier, spec=spec), earlier)
