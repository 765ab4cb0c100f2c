"""The gate never passes what was not measured, and fails what missed its limit."""

from __future__ import annotations

import pytest

from harness.judge.gate import (
    decide,
    device_memory_gate,
    endpoint_gates,
    parity_gates,
    speedup_gate,
    width_gates,
)
from harness.results import (
    Classification,
    Decision,
    Gate,
    Memory,
    ParityCheck,
    Speedup,
    WidthRow,
)
from harness.spec import Gates

GATES = Gates(sensitivity_margin=0.05, specificity_margin=0.02)


def classified(arm: str, recall: float | None, specificity: float | None) -> Classification:
    return Classification(
        arm=arm,
        dataset="d",
        level="chunk",
        seeds=(0,),
        per_seed=(),
        mean={"recall": recall, "specificity": specificity},
        predictions="p.csv",
        predictions_sha256="0" * 64,
    )


def gate(decision: Decision) -> Gate:
    return Gate(decision.value, None, None, None, None, decision, "")


@pytest.mark.parametrize(
    ("recall", "specificity", "decisions"),
    [
        (0.90, 0.90, [Decision.PASS, Decision.PASS]),
        (0.86, 0.89, [Decision.PASS, Decision.PASS]),
        (0.84, 0.90, [Decision.FAIL, Decision.PASS]),
        (0.95, 0.87, [Decision.PASS, Decision.FAIL]),
        (None, 0.90, [Decision.NOT_MEASURED, Decision.PASS]),
    ],
)
def test_each_endpoint_has_its_own_margin(
    recall: float | None, specificity: float | None, decisions: list[Decision]
) -> None:
    results = [classified("baseline", 0.90, 0.90), classified("candidate", recall, specificity)]
    lines = endpoint_gates(results, dataset="d", levels=["chunk"], gates=GATES)
    assert [line.decision for line in lines] == decisions


def test_an_arm_without_predictions_is_not_measured() -> None:
    lines = endpoint_gates(
        [classified("baseline", 0.9, 0.9)], dataset="d", levels=["chunk"], gates=GATES
    )
    assert {line.decision for line in lines} == {Decision.NOT_MEASURED}


@pytest.mark.parametrize(
    ("lower", "upper", "decision"),
    [
        (2.0, 2.5, Decision.PASS),
        (1.9, 2.5, Decision.INCONCLUSIVE),
        (1.0, 1.9, Decision.FAIL),
    ],
)
def test_speed_up_passes_by_its_lower_bound(lower: float, upper: float, decision: Decision) -> None:
    speedup = Speedup((1.0, 1.0), (0.5, 0.5), (lower + upper) / 2, lower, upper, 0.95)
    assert speedup_gate(speedup, 2.0).decision is decision


def test_speed_up_not_timed_is_not_measured() -> None:
    assert speedup_gate(None, 2.0).decision is Decision.NOT_MEASURED


def memory(arm: str, allocated: int | None) -> Memory:
    return Memory(arm, "cpu", 10, 5, allocated, allocated, None, None)


@pytest.mark.parametrize(
    ("before", "after", "decision"),
    [
        (100, 50, Decision.PASS),
        (100, 51, Decision.FAIL),
        (None, 50, Decision.NOT_MEASURED),
        (100, None, Decision.NOT_MEASURED),
    ],
)
def test_device_memory_keeps_its_ratio_or_is_not_measured(
    before: int | None, after: int | None, decision: Decision
) -> None:
    results = [memory("baseline", before), memory("candidate", after)]
    assert device_memory_gate(results, 0.5).decision is decision


def test_width_other_than_expected_fails() -> None:
    rows = [
        WidthRow("baseline", "a", 0, 10, 10, expected=10, source="data"),
        WidthRow("candidate", "b", 0, 11, 11, expected=12, source="data"),
    ]
    assert [line.decision for line in width_gates(rows)] == [Decision.PASS, Decision.FAIL]


def test_an_architecture_is_no_measurement_of_an_arm() -> None:
    rows = [WidthRow("", "esm2-3b", 384, 2560, 2944, expected=None, source="architecture")]
    assert {line.decision for line in width_gates(rows)} == {Decision.NOT_MEASURED}


@pytest.mark.parametrize(
    ("value", "at_least", "decision"),
    [
        (0.9991, True, Decision.PASS),
        (0.9989, True, Decision.FAIL),
        (0.9991, False, Decision.FAIL),
        (float("nan"), True, Decision.FAIL),
        (float("nan"), False, Decision.FAIL),
    ],
)
def test_parity_keeps_its_limit_and_nan_never_does(
    value: float, at_least: bool, decision: Decision
) -> None:
    check = ParityCheck("baseline", "c", "s", value, 0.999, at_least)
    by_name = {line.name: line.decision for line in parity_gates([check])}
    assert by_name["baseline: c"] is decision
    assert by_name["candidate: parity"] is Decision.NOT_MEASURED


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        ([Decision.PASS, Decision.PASS], Decision.PASS),
        ([Decision.PASS, Decision.NOT_MEASURED], Decision.INCONCLUSIVE),
        ([Decision.PASS, Decision.INCONCLUSIVE], Decision.INCONCLUSIVE),
        ([Decision.FAIL, Decision.NOT_MEASURED], Decision.FAIL),
        ([], Decision.INCONCLUSIVE),
    ],
)
def test_verdict_joins_the_gates(parts: list[Decision], whole: Decision) -> None:
    assert decide([gate(part) for part in parts]).decision is whole
