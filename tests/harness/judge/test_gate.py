"""The gate never passes what was not measured, and fails what missed its limit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.costs import Speedup
from harness.evidence import Classification, Decision, Endpoint, NonInferiority
from harness.judge.gate import (
    FEWEST_CLUSTERS,
    all_gates,
    decide,
    device_memory_gate,
    endpoint_gates,
    parity_gates,
    speedup_gate,
    width_gates,
)
from harness.results import Gate, Memory, ParityCheck, WidthRow
from harness.spec import Gates
from tests.harness.example_run import SPEC

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


def paired(
    endpoint: str,
    difference: float | None,
    *,
    clusters: int = 40,
    reach: float | None = 0.01,
    level: str = "chunk",
    seeds: int = 10,
    needed: int | None = None,
) -> Endpoint:
    margin = {"sensitivity": 0.05, "specificity": 0.02}[endpoint]
    lower = upper = None
    decision = Decision.INCONCLUSIVE
    if difference is not None and reach is not None:
        lower, upper = difference - reach, difference + reach
        decision = (
            Decision.PASS
            if lower > -margin
            else Decision.FAIL
            if upper < -margin
            else Decision.INCONCLUSIVE
        )
    found = NonInferiority(
        difference=difference,
        lower=lower,
        upper=upper,
        standard_error=None,
        cluster_error=None,
        seed_error=None,
        tango_error=None,
        degrees_of_freedom=None,
        rows=100,
        clusters=clusters,
        seeds=seeds,
        margin=margin,
        alpha=0.025,
        decision=decision,
        clusters_needed=needed,
    )
    return Endpoint("d", level, endpoint, found)


def judged(
    results: list[Classification], endpoints: list[Endpoint], levels: tuple[str, ...] = ("chunk",)
) -> list[Gate]:
    return endpoint_gates(results, endpoints, dataset="d", levels=levels, gates=GATES)


def gate(decision: Decision) -> Gate:
    return Gate(decision.value, None, None, None, None, decision, "")


@pytest.mark.parametrize(
    ("recall", "specificity", "decisions"),
    [
        (0.90, 0.90, [Decision.PASS, Decision.PASS]),
        (0.87, 0.895, [Decision.PASS, Decision.PASS]),
        (0.855, 0.89, [Decision.INCONCLUSIVE, Decision.INCONCLUSIVE]),
        (0.845, 0.90, [Decision.INCONCLUSIVE, Decision.PASS]),
        (0.83, 0.90, [Decision.FAIL, Decision.PASS]),
        (0.95, 0.86, [Decision.PASS, Decision.FAIL]),
        (None, 0.90, [Decision.NOT_MEASURED, Decision.PASS]),
    ],
)
def test_each_endpoint_is_decided_by_its_whole_interval_against_its_own_margin(
    recall: float | None, specificity: float | None, decisions: list[Decision]
) -> None:
    results = [classified("baseline", 0.90, 0.90), classified("candidate", recall, specificity)]
    endpoints = [
        paired(endpoint, None if rate is None else rate - 0.90)
        for endpoint, rate in (("sensitivity", recall), ("specificity", specificity))
    ]
    assert [line.decision for line in judged(results, endpoints)] == decisions


BOTH = [classified("baseline", 0.82, 0.9), classified("candidate", 0.825, 0.9)]


def test_an_endpoint_carries_its_interval_in_figures_and_in_words() -> None:
    endpoints = [paired("sensitivity", 0.005, reach=0.026), paired("specificity", 0.0)]
    line = judged(BOTH, endpoints)[0]
    assert (line.value, line.lower, line.upper) == (0.005, 0.005 - 0.026, 0.005 + 0.026)
    assert line.reason.startswith("0.820 → 0.825, +0.005 [-0.021, +0.031]; at most 0.050 may be")


@pytest.mark.parametrize(
    ("seeds", "needed", "said"),
    [
        (10, 77, "40 groups, some 77 would decide it"),
        (10, None, "more retraining seeds may"),
        (3, 77, "3 retraining seeds; a decision should have 10"),
        (1, None, "one retraining seed has no spread"),
    ],
)
def test_what_is_open_says_what_would_decide_it(seeds: int, needed: int | None, said: str) -> None:
    open_yet = paired("sensitivity", -0.045, seeds=seeds, needed=needed)
    line = judged(BOTH, [open_yet, paired("specificity", 0.0)])[0]
    assert line.decision is Decision.INCONCLUSIVE
    assert said in line.reason


def test_few_seeds_are_said_where_the_endpoint_passes() -> None:
    endpoints = [paired("sensitivity", 0.0, seeds=3), paired("specificity", 0.0)]
    few, enough = judged(BOTH, endpoints)
    assert (few.decision, enough.decision) == (Decision.PASS, Decision.PASS)
    assert "3 retraining seeds" in few.reason
    assert "retraining seeds" not in enough.reason


@pytest.mark.parametrize("arm", ["baseline", "candidate"])
def test_an_arm_without_predictions_is_not_measured_and_never_passes(arm: str) -> None:
    lines = judged([classified(arm, 0.9, 0.9)], [])
    assert {line.decision for line in lines} == {Decision.NOT_MEASURED}
    assert decide(lines).decision is Decision.INCONCLUSIVE


def test_predictions_that_were_not_paired_are_not_measured() -> None:
    assert {line.decision for line in judged(BOTH, [])} == {Decision.NOT_MEASURED}


@pytest.mark.parametrize("difference", [0.0, -0.5])
def test_too_few_genomes_of_a_class_leave_its_endpoint_open(difference: float) -> None:
    few, enough = FEWEST_CLUSTERS - 1, FEWEST_CLUSTERS
    endpoints = [
        paired("sensitivity", difference, clusters=few),
        paired("specificity", 0.0, clusters=enough),
    ]
    lines = judged(BOTH, endpoints)
    assert [line.decision for line in lines] == [Decision.INCONCLUSIVE, Decision.PASS]
    assert f"{few} group(s)" in lines[0].reason
    assert f"at least {enough}" in lines[0].reason


@pytest.mark.parametrize(("clusters", "decision"), [(7, "INCONCLUSIVE"), (8, "PASS")])
def test_a_stricter_level_takes_more_genomes(clusters: int, decision: str) -> None:
    """At 0.025 / 4: 1 / 2⁷ is above it, 1 / 2⁸ is not."""
    both = (paired(name, 0.0, clusters=clusters) for name in ("sensitivity", "specificity"))
    endpoints = [replace(each, paired=replace(each.paired, alpha=0.025 / 4)) for each in both]
    assert {line.decision.value for line in judged(BOTH, endpoints)} == {decision}


def test_one_genome_has_no_interval_and_leaves_the_endpoint_open() -> None:
    endpoints = [
        paired(name, 0.0, clusters=1, reach=None) for name in ("sensitivity", "specificity")
    ]
    lines = judged(BOTH, endpoints)
    assert {line.decision for line in lines} == {Decision.INCONCLUSIVE}
    assert {(line.lower, line.upper) for line in lines} == {(None, None)}


def test_fewest_clusters_are_those_that_a_sign_test_can_tell_from_chance() -> None:
    assert 2.0**-FEWEST_CLUSTERS <= 0.025 < 2.0 ** -(FEWEST_CLUSTERS - 1)


def test_a_data_set_that_cannot_be_cut_into_folds_is_inconclusive_with_the_reason() -> None:
    gates = all_gates(
        SPEC,
        widths=[],
        parity=[],
        speedup=None,
        memory=[],
        classification=[],
        endpoints=[],
        unclassified={"d": "3 viral group(s) cannot be spread over 5 folds"},
    )
    endpoints = {line.name: line for line in gates if line.name.startswith("d: ")}
    assert set(endpoints) == {"d: sensitivity per chunk", "d: specificity per chunk"}
    for line in endpoints.values():
        assert line.decision is Decision.INCONCLUSIVE
        assert line.reason == "too few genomes: 3 viral group(s) cannot be spread over 5 folds"
    assert decide(list(endpoints.values())).decision is Decision.INCONCLUSIVE


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


@pytest.mark.parametrize("decision", list(Decision))
def test_a_gate_that_is_not_required_is_told_and_has_no_say(decision: Decision) -> None:
    beside = replace(gate(decision), required=False)
    verdict = decide([gate(Decision.PASS), beside])
    assert verdict.decision is Decision.PASS
    assert ("not required" in verdict.reason) == (decision is not Decision.PASS)
    assert decide([gate(Decision.FAIL), beside]).decision is Decision.FAIL
    assert decide([beside]).decision is Decision.INCONCLUSIVE


@pytest.mark.parametrize("required", [True, False])
def test_endpoints_are_required_as_the_file_says(required: bool) -> None:
    datasets = tuple(replace(each, required=required) for each in SPEC.datasets)
    gates = all_gates(
        replace(SPEC, datasets=datasets),
        widths=[],
        parity=[],
        speedup=None,
        memory=[],
        classification=[],
        endpoints=[],
        unclassified={},
    )
    of_data = [line for line in gates if line.name.startswith("d: ")]
    assert of_data
    assert {line.required for line in of_data} == {required}
    assert all(line.required for line in gates if line not in of_data)
