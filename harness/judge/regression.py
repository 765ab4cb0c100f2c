"""Has a stored run got worse than an earlier one of the same migration?"""

from __future__ import annotations

from embedders import InputError
from harness.evidence import Decision
from harness.judge.gate import ENDPOINTS
from harness.results import Comparison, Gate, find
from harness.spec import ArmName


def regression_gates(current: Comparison, earlier: Comparison) -> list[Gate]:
    """Compare the candidate of two runs: rates within the margins, speed-up within its interval.

    Speed is compared only between equal machines and libraries; otherwise it is not measured.

    Raises
    ------
    InputError
        If the runs answer different questions: other data, folds, seeds, recipe or limits.
    """
    _refuse_unlike(current, earlier)
    gates = [_rate_gate(current, earlier, *key) for key in _endpoints(earlier)]
    return [*gates, _speed_gate(current, earlier)]


def _refuse_unlike(current: Comparison, earlier: Comparison) -> None:
    sides = (current, earlier)
    # The first input is the migration file: its comments may differ, what it says is below.
    for what, values in (
        ("data files", [side.provenance.inputs[1:] for side in sides]),
        ("classification plan", [side.spec.classification for side in sides]),
        ("truncation", [side.spec.embedding.truncation for side in sides]),
        ("limits", [side.spec.gates for side in sides]),
        ("DNA half", [side.spec.dna for side in sides]),
    ):
        if values[0] != values[1]:
            raise InputError(
                f"{current.run} and {earlier.run} cannot be compared: their {what} differ; "
                "run the same migration again on the same data"
            )


def _endpoints(run: Comparison) -> list[tuple[str, str, str, str]]:
    return [
        (item.dataset, item.level, endpoint, metric)
        for item in run.classification
        if item.arm == ArmName.CANDIDATE
        for endpoint, metric in ENDPOINTS
    ]


def _rate_gate(
    current: Comparison,
    earlier: Comparison,
    dataset: str,
    level: str,
    endpoint: str,
    metric: str,
) -> Gate:
    margin: float = getattr(current.spec.gates, f"{endpoint}_margin")
    before, after = (
        result.mean[metric] if result else None
        for result in (
            find(run.classification, arm=ArmName.CANDIDATE, dataset=dataset, level=level)
            for run in (earlier, current)
        )
    )
    name = f"{dataset}: {endpoint} per {level}"
    if before is None or after is None:
        return _gate(name, Decision.NOT_MEASURED, "not measured in both runs", limit=-margin)
    change = after - before
    return _gate(
        name,
        Decision.PASS if change >= -margin else Decision.FAIL,
        f"{before:.3f} → {after:.3f}, {change:+.3f}; at most {margin:.3f} may be lost",
        limit=-margin,
        value=change,
    )


def _speed_gate(current: Comparison, earlier: Comparison) -> Gate:
    name = "speed-up of candidate over baseline"
    here, there = current.provenance, earlier.provenance
    if (here.machine, here.python, here.libraries) != (
        there.machine,
        there.python,
        there.libraries,
    ):
        reason = "machines or libraries differ, so times are not compared"
        return _gate(name, Decision.NOT_MEASURED, reason)
    after, before = current.speedup, earlier.speedup
    if before is None or after is None:
        return _gate(name, Decision.NOT_MEASURED, "not measured in both runs")
    slower = after.upper < before.lower
    return _gate(
        name,
        Decision.FAIL if slower else Decision.PASS,
        f"[{before.lower:.2f}, {before.upper:.2f}] → [{after.lower:.2f}, {after.upper:.2f}]; "
        "the intervals must not part downwards",
        limit=before.lower,
        value=after.ratio,
    )


def _gate(
    name: str,
    decision: Decision,
    reason: str,
    *,
    limit: float | None = None,
    value: float | None = None,
) -> Gate:
    return Gate(name, limit, value, None, None, decision, reason)
