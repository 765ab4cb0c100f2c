"""Speed and memory of two runs are compared in equal environments, with an interval."""

from __future__ import annotations

import doctest
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from embedders import InputError
from harness.evidence import Decision
from harness.judge import running_costs
from harness.judge.running_costs import (
    DEVICE_MEMORY,
    HOST_MEMORY,
    SPEED,
    cost_gates,
    environment_differences,
    ratio_of_rates,
)
from harness.results import Comparison, Gate, Throughput
from tests.harness.example_run import comparison

rates = st.lists(st.floats(1e-3, 1e9), min_size=2, max_size=12)


def timed(run: Comparison, *seconds: float) -> Comparison:
    """Return the run with these seconds of its candidate, on 100 residues a round."""
    residues = (100,) * len(seconds)
    each = Throughput("candidate", "clock", residues, 2, seconds, 100 / seconds[0], 2 / seconds[0])
    return replace(run, throughput=(run.throughput[0], each))


def peaking(run: Comparison, host_mib: float, device_mib: float | None = None) -> Comparison:
    candidate = replace(
        run.memory[1],
        host_peak_rss_bytes=round(host_mib * 2**20),
        device_peak_allocated_bytes=None if device_mib is None else round(device_mib * 2**20),
    )
    return replace(run, memory=(run.memory[0], candidate))


def gates(current: Comparison, earlier: Comparison, **options: float) -> dict[str, Gate]:
    return {gate.name: gate for gate in cost_gates(current, earlier, **options)}


def test_examples() -> None:
    assert doctest.testmod(running_costs).failed == 0


# scipy takes the logarithms' variance in a way that it warns of where they are alike
@pytest.mark.filterwarnings("ignore:Precision loss occurred:RuntimeWarning")
@given(before=rates, after=rates)
def test_the_interval_is_welchs_of_scipy(before: list[float], after: list[float]) -> None:
    logs = [np.log(before), np.log(after)]
    ratio, lower, upper = ratio_of_rates(before, after)
    assert lower is not None
    assert upper is not None
    assert ratio == pytest.approx(math.exp(logs[1].mean() - logs[0].mean())) or before == after
    spread = sum(each.var() for each in logs)
    if before == after or spread < 1e-12:  # scipy loses precision on rates that are alike
        assert lower <= ratio <= upper
        return
    theirs = stats.ttest_ind(logs[1], logs[0], equal_var=False).confidence_interval(0.95)
    assert math.log(lower) == pytest.approx(theirs.low, rel=1e-6, abs=1e-9)
    assert math.log(upper) == pytest.approx(theirs.high, rel=1e-6, abs=1e-9)


@given(before=rates, after=rates)
def test_turning_the_runs_round_turns_the_interval_round(
    before: list[float], after: list[float]
) -> None:
    there, back = ratio_of_rates(before, after), ratio_of_rates(after, before)
    assert [1 / x for x in there if x] == pytest.approx(
        [x for x in (back[0], back[2], back[1]) if x]
    )


@given(same=rates)
def test_one_measurement_against_itself_has_no_doubt(same: list[float]) -> None:
    assert ratio_of_rates(same, same) == (1.0, 1.0, 1.0)


def test_one_round_has_no_interval() -> None:
    ratio, lower, upper = ratio_of_rates([100.0], [90.0, 91.0])
    assert ratio == pytest.approx(math.sqrt(90 * 91) / 100)
    assert (lower, upper) == (None, None)
    gate = gates(timed(comparison(), 0.5), timed(comparison(), 0.6))[SPEED]
    assert gate.decision is Decision.INCONCLUSIVE


@pytest.mark.parametrize(
    ("seconds", "decision"),
    [
        ((0.99, 1.00, 1.01), Decision.PASS),
        ((1.19, 1.20, 1.21), Decision.FAIL),  # a sixth of the rate is gone
        ((0.70, 1.00, 1.50), Decision.INCONCLUSIVE),  # too noisy to say
        ((0.49, 0.50, 0.51), Decision.PASS),
    ],
)
def test_the_whole_interval_decides_on_speed(
    seconds: tuple[float, ...], decision: Decision
) -> None:
    earlier = timed(comparison(), 0.995, 1.0, 1.005)
    gate = gates(timed(comparison(), *seconds), earlier)[SPEED]
    assert gate.decision is decision
    assert gate.lower is not None
    assert gate.value is not None
    assert gate.upper is not None
    assert gate.lower < gate.value < gate.upper


def test_the_tolerance_is_the_callers() -> None:
    earlier, current = timed(comparison(), 1.0, 1.0), timed(comparison(), 1.1, 1.1)
    assert gates(current, earlier)[SPEED].decision is Decision.FAIL
    assert gates(current, earlier, tolerance=0.1)[SPEED].decision is Decision.PASS
    for wrong in (0.0, 1.0, -0.1, math.nan):
        with pytest.raises(InputError, match="tolerance"):
            cost_gates(current, earlier, tolerance=wrong)


def test_rates_and_not_seconds_are_compared() -> None:
    earlier = timed(comparison(), 1.0, 1.1)
    twice = replace(timed(comparison(), 2.0, 2.2).throughput[1], residues_per_round=(200, 200))
    current = replace(earlier, throughput=(twice,))
    assert gates(current, earlier)[SPEED].value == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("mib", "decision"),
    [(420, Decision.PASS), (421, Decision.FAIL), (200, Decision.PASS)],
)
def test_host_memory_may_grow_by_five_in_a_hundred(mib: float, decision: Decision) -> None:
    gate = gates(peaking(comparison(), mib), peaking(comparison(), 400))[HOST_MEMORY]
    assert gate.decision is decision
    assert gate.value == pytest.approx(mib / 400)


@pytest.mark.parametrize(("mib", "decision"), [(408, Decision.PASS), (409, Decision.FAIL)])
def test_device_memory_may_grow_by_two_in_a_hundred(mib: float, decision: Decision) -> None:
    earlier = peaking(comparison(), 400, 400)
    assert gates(peaking(comparison(), 400, mib), earlier)[DEVICE_MEMORY].decision is decision


def test_without_a_device_there_is_no_device_gate_and_with_one_run_of_two_no_decision() -> None:
    on_device, without = peaking(comparison(), 400, 300), comparison()
    assert DEVICE_MEMORY not in gates(without, without)
    for pair in ((on_device, without), (without, on_device)):
        assert gates(*pair)[DEVICE_MEMORY].decision is Decision.NOT_MEASURED


def test_what_one_run_did_not_measure_is_not_measured() -> None:
    run = comparison()
    bare = replace(run, throughput=(), memory=())
    for pair in ((run, bare), (bare, run), (bare, bare)):
        assert {gate.decision for gate in cost_gates(*pair)} == {Decision.NOT_MEASURED}


CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("machine.processor: a → b", {"processor": ("a", "b")}),
    ("machine.torch_threads: 2 → 8", {"torch_threads": (2, 8)}),
    ("machine.accelerator: None → H100", {"accelerator": (None, "H100")}),
]


@pytest.mark.parametrize(("said", "change"), CHANGES)
def test_another_machine_is_named_and_nothing_is_compared(
    said: str, change: dict[str, Any]
) -> None:
    runs = []
    for side in (0, 1):
        run = comparison()
        fields = {name: values[side] for name, values in change.items()}
        machine = replace(run.provenance.machine, **fields)
        runs.append(replace(run, provenance=replace(run.provenance, machine=machine)))
    earlier, current = runs
    assert list(environment_differences(current, earlier)) == [said]
    for gate in cost_gates(current, earlier):
        assert gate.decision is Decision.NOT_MEASURED
        assert said in gate.reason


def test_python_libraries_device_timer_and_plan_are_named_as_well() -> None:
    earlier = comparison()
    origin = replace(earlier.provenance, python="3.9", libraries=(("torch", "1"), ("new", "2")))
    arms = {**earlier.arms, "candidate": replace(earlier.arms["candidate"], device="cuda")}
    plan = replace(earlier.spec.throughput, sequences=7)
    current = replace(
        earlier,
        provenance=origin,
        arms=arms,
        spec=replace(earlier.spec, throughput=plan),
        throughput=tuple(replace(each, timer="another") for each in earlier.throughput),
    )
    said = "; ".join(environment_differences(current, earlier))
    for part in ("Python: ", "torch: ", "new: None → 2", "device: cpu → cuda"):
        assert part in said
    for part in ("throughput.sequences: 96 → 7", "timer: clock → another"):
        assert part in said


def test_another_model_in_another_runtime_is_what_is_checked() -> None:
    earlier = comparison()
    swapped = replace(earlier.arms["candidate"], name="other", runtime="packed", dtype="bfloat16")
    current = replace(earlier, arms={**earlier.arms, "candidate": swapped})
    assert not list(environment_differences(current, earlier))
