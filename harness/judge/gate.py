"""From measurements and limits to one decision; what was not measured never passes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from harness.costs import Speedup
from harness.evidence import Classification, Decision, Endpoint, NonInferiority
from harness.judge.noninferiority import fewest_clusters
from harness.results import (
    AGREEMENT,
    BOTH_ARMS,
    Comparison,
    Gate,
    Memory,
    ParityCheck,
    Verdict,
    WidthRow,
    find,
)
from harness.spec import ArmName, Gates, MigrationSpec

ENDPOINTS = (("sensitivity", "recall"), ("specificity", "specificity"))
"""The primary endpoints and the metric that holds each: recall of viral, recall of host."""

FEWEST_CLUSTERS = fewest_clusters(0.025)
"""An endpoint of fewer genomes is not decided at the usual one-sided level."""

SPEEDUP = "speed-up, paired"
"""What the gate of the speed-up is called."""

SEEDS_OF_A_DECISION = 10
"""Retrainings that a decision should rest on (Bouthillier et al. 2021); fewer are said so."""


def endpoint_name(dataset: str, endpoint: str, level: str) -> str:
    """Return what the gate of an endpoint is called."""
    return f"{dataset}: {endpoint} per {level}"


def all_gates(  # noqa: PLR0913 - one argument for each kind of record
    spec: MigrationSpec,
    *,
    widths: Sequence[WidthRow],
    parity: Sequence[ParityCheck],
    speedup: Speedup | None,
    memory: Sequence[Memory],
    classification: Sequence[Classification],
    endpoints: Sequence[Endpoint],
    unclassified: Mapping[str, str],
    inapplicable: Mapping[str, str] = MappingProxyType({}),
) -> list[Gate]:
    """Put every question that the migration file asks to what was measured.

    A data set that was not classified still has its gates: not measured, or inconclusive where
    ``unclassified`` gives the reason why it could not be cut into folds. A part of the parity that
    ``inapplicable`` gives a reason for is not measured either.
    """
    gates = [*width_gates(widths), *parity_gates(parity, inapplicable)]
    for dataset in spec.datasets:
        seen = dict.fromkeys(r.level for r in classification if r.dataset == dataset.name)
        levels = list(seen) or ["chunk"]
        if dataset.name in unclassified:
            asked = undecided_gates(
                unclassified[dataset.name], dataset=dataset.name, levels=levels, gates=spec.gates
            )
        else:
            asked = endpoint_gates(
                classification, endpoints, dataset=dataset.name, levels=levels, gates=spec.gates
            )
        gates += [replace(gate, required=dataset.required) for gate in asked]
    if spec.gates.speedup_at_least is not None:
        gates.append(speedup_gate(speedup, spec.gates.speedup_at_least))
    if spec.gates.device_memory_at_most is not None:
        gates.append(device_memory_gate(memory, spec.gates.device_memory_at_most))
    return gates


def gates_of(run: Comparison) -> list[Gate]:
    """Return the gates that follow from the records of a run; see :func:`all_gates`."""
    return all_gates(
        run.spec,
        widths=run.widths,
        parity=run.parity,
        speedup=run.speedup,
        memory=run.memory,
        classification=run.classification,
        endpoints=run.endpoints,
        unclassified=run.unclassified,
        inapplicable=run.inapplicable,
    )


def endpoint_gates(
    results: Sequence[Classification],
    endpoints: Sequence[Endpoint],
    *,
    dataset: str,
    levels: Sequence[str],
    gates: Gates,
) -> list[Gate]:
    """Ask of each endpoint whether the candidate lost more than the margin.

    The difference is candidate minus baseline, of means over seeds, and its whole interval
    decides: above the margin passes, below fails, across it is inconclusive. All endpoints must
    pass, so that no correction for their number is due (Berger 1982: an intersection-union test).
    An arm without predictions has no pairs and is not measured; too few genomes are inconclusive.
    """
    lines = []
    for level in levels:
        arms = [find(results, dataset=dataset, level=level, arm=arm) for arm in ArmName]
        for endpoint, metric in ENDPOINTS:
            margin = getattr(gates, f"{endpoint}_margin")
            name = endpoint_name(dataset, endpoint, level)
            before, after = (None if arm is None else arm.mean[metric] for arm in arms)
            record = find(endpoints, dataset=dataset, level=level, endpoint=endpoint)
            if before is None or after is None or record is None:
                lines.append(_not_measured(name, -margin))
            else:
                lines.append(_endpoint_gate(name, before, after, record, margin))
    return lines


def _endpoint_gate(name: str, before: float, after: float, record: Endpoint, margin: float) -> Gate:
    paired = record.paired
    difference = after - before if paired.difference is None else paired.difference
    found = f"{before:.3f} → {after:.3f}, {difference:+.3f}"
    if paired.lower is not None and paired.upper is not None:
        found += f" [{paired.lower:+.3f}, {paired.upper:+.3f}]"
    few = paired.clusters < fewest_clusters(paired.alpha)
    return Gate(
        name=name,
        limit=-margin,
        value=difference,
        lower=paired.lower,
        upper=paired.upper,
        decision=Decision.INCONCLUSIVE if few else paired.decision,
        reason=f"{found}; {_endpoint_reason(paired)}",
    )


def _endpoint_reason(paired: NonInferiority) -> str:
    """Say in words what the interval means, and what would help where it decides nothing."""
    lost = f"{paired.margin:.3f}"
    fewest = fewest_clusters(paired.alpha)
    if paired.clusters < fewest:
        return f"{paired.clusters} group(s) of this class, at least {fewest} are needed"
    if paired.seeds < 2:
        return "one retraining seed has no spread: give at least 2, better 10"
    few = ""
    if paired.seeds < SEEDS_OF_A_DECISION:
        few = f" ({paired.seeds} retraining seeds; a decision should have {SEEDS_OF_A_DECISION})"
    if paired.decision is Decision.PASS:
        return f"at most {lost} may be lost, and the whole interval keeps that{few}"
    if paired.decision is Decision.FAIL:
        return f"at most {lost} may be lost, and the whole interval is beyond that{few}"
    if paired.clusters_needed is None:
        help_ = "no number of groups would decide this, more retraining seeds may"
    else:
        help_ = f"{paired.clusters} groups, some {paired.clusters_needed:,} would decide it"
    return f"at most {lost} may be lost, and the interval is on both sides of that: {help_}{few}"


def undecided_gates(
    reason: str, *, dataset: str, levels: Sequence[str], gates: Gates
) -> list[Gate]:
    """Leave every endpoint of a data set open that has too few genomes to be cut into folds."""
    return [
        Gate(
            name=endpoint_name(dataset, endpoint, level),
            limit=-getattr(gates, f"{endpoint}_margin"),
            value=None,
            lower=None,
            upper=None,
            decision=Decision.INCONCLUSIVE,
            reason=f"too few genomes: {reason}",
        )
        for level in levels
        for endpoint, _ in ENDPOINTS
    ]


def speedup_gate(speedup: Speedup | None, limit: float) -> Gate:
    """Ask whether the whole interval of the paired speed-up clears the limit."""
    name = SPEEDUP
    if speedup is None:
        return _not_measured(name, limit)
    if speedup.lower >= limit:
        decision = Decision.PASS
    elif speedup.upper < limit:
        decision = Decision.FAIL
    else:
        decision = Decision.INCONCLUSIVE
    return Gate(
        name=name,
        limit=limit,
        value=speedup.ratio,
        lower=speedup.lower,
        upper=speedup.upper,
        decision=decision,
        reason=f"{speedup.ratio:.2f}× [{speedup.lower:.2f}, {speedup.upper:.2f}] over "
        f"{len(speedup.baseline_s)} pairs; at least {limit:.2f}× asked",
    )


def device_memory_gate(results: Sequence[Memory], limit: float) -> Gate:
    """Ask whether the candidate's peak device memory is at most ``limit`` times the baseline's."""
    name = "peak device memory, ratio"
    peaks = [memory_peak(find(results, arm=arm)) for arm in ArmName]
    before, after = peaks
    if not before or after is None:
        return _not_measured(name, limit)
    ratio = after / before
    return Gate(
        name=name,
        limit=limit,
        value=ratio,
        lower=None,
        upper=None,
        decision=Decision.PASS if ratio <= limit else Decision.FAIL,
        reason=f"{before / 2**20:.0f} MiB → {after / 2**20:.0f} MiB, {ratio:.2f}×; "
        f"at most {limit:.2f}× allowed",
    )


def memory_peak(memory: Memory | None) -> int | None:
    """Return the torch allocator's peak on the device, or None where there was no device."""
    return None if memory is None else memory.device_peak_allocated_bytes


def width_gates(rows: Sequence[WidthRow]) -> list[Gate]:
    """Ask of each arm whether the protein width seen in data is the one expected."""
    lines = []
    for arm in ArmName:
        name = f"{arm}: protein width"
        row = find(rows, arm=arm, source="data")
        if row is None:
            lines.append(_not_measured(name, None))
            continue
        met = row.expected in (None, row.protein)
        asked = "no expectation stated" if row.expected is None else f"{row.expected} expected"
        lines.append(
            Gate(
                name=name,
                limit=row.expected,
                value=row.protein,
                lower=None,
                upper=None,
                decision=Decision.PASS if met else Decision.FAIL,
                reason=f"{row.protein} seen in data, {asked}",
            )
        )
    return lines


def parity_gates(
    checks: Sequence[ParityCheck], inapplicable: Mapping[str, str] = MappingProxyType({})
) -> list[Gate]:
    """Turn each parity check into a gate; an arm, or the pair, without any is not measured.

    Nor is an arm's agreement with another runtime where ``inapplicable`` says why there is none.
    """
    lines = []
    for arm in (*ArmName, BOTH_ARMS):
        own = [check for check in checks if check.arm == arm]
        if not own:
            lines.append(_not_measured(f"{arm}: parity", None))
        unheld = f"{arm}: {AGREEMENT}"
        if unheld in inapplicable:
            why = f"not measured: {inapplicable[unheld]}"
            lines.append(replace(_not_measured(unheld, None), reason=why))
        for check in own:
            sign = "at least" if check.at_least else "at most"
            reason = f"{check.sentence} {check.value:.6g}, {sign} {check.limit:g}"
            decision = Decision.PASS if check.passed else Decision.FAIL
            name = f"{arm}: {check.check}"
            lines.append(Gate(name, check.limit, check.value, None, None, decision, reason))
    return lines


def decide(gates: Sequence[Gate]) -> Verdict:
    """Join the gates: one failure fails, one open question leaves it open, else it passes.

    Gates that are not required have no say; what they found is said behind the reason.
    """
    asked = [gate for gate in gates if gate.required]
    failed = [gate for gate in asked if gate.decision is Decision.FAIL]
    unsure = [gate for gate in asked if gate.decision is Decision.INCONCLUSIVE]
    missing = [gate for gate in asked if gate.decision is Decision.NOT_MEASURED]
    beside = _beside([gate for gate in gates if not gate.required])
    if failed:
        return Verdict(Decision.FAIL, f"{_names(failed)} missed its limit{beside}")
    if unsure or missing or not asked:
        parts = [f"{_names(unsure)} could go either way"] if unsure else []
        parts += [f"not measured: {_names(missing)}"] if missing else []
        return Verdict(Decision.INCONCLUSIVE, ("; ".join(parts) or "there is no gate") + beside)
    return Verdict(Decision.PASS, f"all {len(asked)} gates passed{beside}")


def _beside(gates: Sequence[Gate]) -> str:
    """Say what gates found that are not required, unless they passed; by what they are of."""
    found = Counter(
        (gate.name.partition(":")[0], gate.decision)
        for gate in gates
        if gate.decision is not Decision.PASS
    )
    if not found:
        return ""
    said = ", ".join(f"{count} of {name} {decision}" for (name, decision), count in found.items())
    return f" (beside them, not required: {said})"


def _names(gates: Sequence[Gate]) -> str:
    return ", ".join(gate.name for gate in gates)


def _not_measured(name: str, limit: float | None) -> Gate:
    return Gate(
        name=name,
        limit=limit,
        value=None,
        lower=None,
        upper=None,
        decision=Decision.NOT_MEASURED,
        reason="not measured in this run",
    )
