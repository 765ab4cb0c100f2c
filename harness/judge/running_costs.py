"""Has the candidate of one run become slower or larger than that of an earlier one?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import fields
from statistics import fmean, variance

from embedders.errors import InputError
from harness.evidence import Decision
from harness.results import Comparison, Gate, Memory, Throughput, find
from harness.spec import ArmName

TOLERANCE = 0.05
"""So much of the throughput may be lost, in parts of 1, if nothing else is asked for."""
HOST_TOLERANCE = 0.05
"""So much may the peak resident memory grow: the heap of a process differs from run to run."""
DEVICE_TOLERANCE = 0.02
"""So much may the device's peak grow: the allocator counts, and counts alike in every run."""
CONFIDENCE = 0.95

SPEED = "candidate: throughput"
HOST_MEMORY = "candidate: peak host memory"
DEVICE_MEMORY = "candidate: peak device memory"


def cost_gates(
    current: Comparison, earlier: Comparison, *, tolerance: float = TOLERANCE
) -> list[Gate]:
    """Compare throughput and memory of both candidates, where both ran in equal environments.

    Elsewhere nothing is compared: each gate is not measured and lists what differs.

    Raises
    ------
    InputError
        If the tolerance is not between 0 and 1.
    """
    if not 0 < tolerance < 1:
        raise InputError(f"the tolerance must lie between 0 and 1, not {tolerance}")
    differences = list(environment_differences(current, earlier))
    sides = (earlier, current)
    peaks = [find(run.memory, arm=ArmName.CANDIDATE) for run in sides]
    limits = {SPEED: 1 - tolerance, HOST_MEMORY: 1 + HOST_TOLERANCE}
    if any(peak and peak.device_peak_allocated_bytes is not None for peak in peaks):
        limits[DEVICE_MEMORY] = 1 + DEVICE_TOLERANCE
    if differences:
        reason = (
            f"not compared, since the environments differ ({'; '.join(differences)}): "
            "run both on one machine with the same libraries"
        )
        return [_unmeasured(name, limit, reason) for name, limit in limits.items()]
    rounds = [find(run.throughput, arm=ArmName.CANDIDATE) for run in sides]
    gates = [_speed_gate(*rounds, limit=limits.pop(SPEED))]
    return gates + [_memory_gate(name, *peaks, limit=limit) for name, limit in limits.items()]


def environment_differences(current: Comparison, earlier: Comparison) -> Iterator[str]:
    """Yield what keeps the times and peaks of two runs from being compared, each ``a → b``.

    Machine (threads included), Python, libraries, the candidate's device, what was timed, and the
    watch. Code, embedder, runtime and dtype may differ: they are what is checked.
    """
    here, there = current.provenance, earlier.provenance
    pairs: list[tuple[str, object, object]] = [
        (
            f"machine.{each.name}",
            getattr(there.machine, each.name),
            getattr(here.machine, each.name),
        )
        for each in fields(here.machine)
    ]
    pairs.append(("Python", there.python, here.python))
    before, after = dict(there.libraries), dict(here.libraries)
    pairs += [(name, before.get(name), after.get(name)) for name in sorted({*before, *after})]
    pairs.append(("device", _device(earlier), _device(current)))
    plans = [run.spec.throughput for run in (earlier, current)]
    pairs += [
        (f"throughput.{name}", *(getattr(plan, name) for plan in plans))
        for name in ("dataset", "sequences", "rounds", "warmup_rounds")
    ]
    watches = [find(run.throughput, arm=ArmName.CANDIDATE) for run in (earlier, current)]
    if watches[0] is not None and watches[1] is not None:
        pairs.append(("timer", watches[0].timer, watches[1].timer))
    return (f"{name}: {was} → {now}" for name, was, now in pairs if was != now)


def ratio_of_rates(
    before: Sequence[float], after: Sequence[float], *, confidence: float = CONFIDENCE
) -> tuple[float, float | None, float | None]:
    """Return the geometric mean of ``after`` over that of ``before``, and its interval.

    Welch's t on the logarithms, unpaired: the variances need not be equal. Equal rates, all of
    them, are one measurement that is compared with itself: the interval is the point 1. With fewer
    than two rates on a side there is no interval.

    References
    ----------
    Welch 1947, Biometrika 34:28.

    Examples
    --------
    >>> ratio, lower, upper = ratio_of_rates([100.0, 102.0], [50.0, 51.0])
    >>> round(ratio, 3), round(lower, 3), round(upper, 3)
    (0.5, 0.471, 0.531)
    """
    if list(before) == list(after):
        return 1.0, 1.0, 1.0
    logs = [[math.log(rate) for rate in rates] for rates in (before, after)]
    centre = fmean(logs[1]) - fmean(logs[0])
    if min(map(len, logs)) < 2:
        return math.exp(centre), None, None
    errors = [variance(each) / len(each) for each in logs]
    whole = sum(errors)
    reach = 0.0
    if whole:
        from scipy import stats  # noqa: PLC0415 - slow to import, needed once a check

        below = sum(error**2 / (len(each) - 1) for error, each in zip(errors, logs, strict=True))
        quantile = float(stats.t.ppf((1 + confidence) / 2, whole**2 / below))
        reach = quantile * math.sqrt(whole)
    return math.exp(centre), math.exp(centre - reach), math.exp(centre + reach)


def _speed_gate(before: Throughput | None, after: Throughput | None, *, limit: float) -> Gate:
    if before is None or after is None:
        return _unmeasured(SPEED, limit, "not measured in both runs")
    rates = [
        [
            count / time_s
            for count, time_s in zip(each.residues_per_round, each.seconds, strict=True)
        ]
        for each in (before, after)
    ]
    ratio, lower, upper = ratio_of_rates(*rates)
    found = (
        f"{before.residues_per_s:,.0f} → {after.residues_per_s:,.0f} residues/s, "
        f"{ratio:.3f}× of before"
    )
    if lower is None or upper is None:
        decision = Decision.INCONCLUSIVE
        found += ", without an interval: at least 2 rounds are needed in each run"
    else:
        found += f" [{lower:.3f}, {upper:.3f}]"
        if lower >= limit:
            decision = Decision.PASS
        else:
            decision = Decision.FAIL if upper < limit else Decision.INCONCLUSIVE
    reason = f"{found}; at least {limit:.3f}× asked"
    return Gate(SPEED, limit, ratio, lower, upper, decision, reason)


def _memory_gate(name: str, before: Memory | None, after: Memory | None, *, limit: float) -> Gate:
    was, now = (_peak(name, each) for each in (before, after))
    if not was or now is None:
        return _unmeasured(name, limit, "not measured in both runs")
    ratio = now / was
    return Gate(
        name,
        limit,
        ratio,
        None,
        None,
        Decision.PASS if ratio <= limit else Decision.FAIL,
        f"{was / 2**20:,.0f} → {now / 2**20:,.0f} MiB, {ratio:.3f}×; at most {limit:.2f}× allowed",
    )


def _peak(name: str, memory: Memory | None) -> int | None:
    if memory is None:
        return None
    return memory.host_peak_rss_bytes if name == HOST_MEMORY else memory.device_peak_allocated_bytes


def _device(run: Comparison) -> str | None:
    spec = run.arms.get(ArmName.CANDIDATE)
    return None if spec is None else spec.device


def _unmeasured(name: str, limit: float, reason: str) -> Gate:
    return Gate(name, limit, None, None, None, Decision.NOT_MEASURED, reason)
