"""What each candidate costs, as a part of what the baseline costs, and which costs less."""

from __future__ import annotations

from collections.abc import Mapping

from harness.choice.records import Rival
from harness.choice.spec import Cost
from harness.evidence import Estimate
from harness.judge.gate import memory_peak
from harness.judge.running_costs import ratio_of_rates
from harness.results import Comparison, find
from harness.spec import ArmName

COUNTED_TOLERANCE = 0.02
"""Counted costs that differ by no more than this part are taken for equal."""
UNKNOWN = Estimate(None, None, None)


def relative_cost(run: Comparison, cost: Cost) -> Estimate:
    """Return the candidate's cost over the baseline's; None where it was not measured.

    Time has the interval of the speed-up, turned over. Memory and FLOPs are counted, and have none.
    """
    if cost is Cost.TIME:
        paired = run.speedup
        return (
            UNKNOWN
            if paired is None
            else Estimate(1 / paired.ratio, 1 / paired.upper, 1 / paired.lower)
        )
    before, after = (_counted(run, arm, cost) for arm in ArmName)
    return Estimate(after / before if before and after is not None else None, None, None)


def rivals(
    named: Comparison,
    others: Mapping[str, Comparison],
    *,
    cost: Cost,
    alpha: float,
) -> tuple[Rival, ...]:
    """Compare the cost of everyone else who passed with that of the one that is named.

    Of time: how many times faster than the baseline beside it each was, round by round, by Welch's
    t on the logarithms. The one that is named was picked for its low figure. So that it is called
    cheaper than the one that truly is the cheapest at most ``alpha`` of the time, each interval has
    ``alpha`` over the number of others on either side (Bonferroni: any of them might have been
    picked). Of what is counted, a difference of up to 2% tells nobody apart.

    Parameters
    ----------
    named, others
        Names and comparisons; the cost of each was measured.
    """
    if cost is not Cost.TIME:
        return tuple(_counted_rival(name, run, named, cost) for name, run in others.items())
    confidence = confidence_of_rivals(len(others), alpha)
    found = []
    for name, run in others.items():
        ratio, lower, upper = ratio_of_rates(
            _speedups(run), _speedups(named), confidence=confidence
        )
        apart = lower is not None and lower > 1
        found.append(Rival(name, ratio, lower, upper, told_apart=apart))
    return tuple(found)


def confidence_of_rivals(others: int, alpha: float) -> float:
    """Return the two-sided confidence at which each of ``others`` is compared."""
    return 1 - 2 * alpha / max(1, others)


def _counted_rival(name: str, run: Comparison, named: Comparison, cost: Cost) -> Rival:
    ours, theirs = (relative_cost(each, cost).value for each in (named, run))
    if ours is None or theirs is None:
        raise ValueError(f"the {cost.quantity} of {name} or of {named.run} was not measured")
    ratio = theirs / ours
    return Rival(name, ratio, None, None, told_apart=ratio > 1 + COUNTED_TOLERANCE)


def _speedups(run: Comparison) -> list[float]:
    """Return how many times faster than the baseline each paired round was."""
    paired = run.speedup
    if paired is None:
        return []
    return [
        before / after for before, after in zip(paired.baseline_s, paired.candidate_s, strict=True)
    ]


def _counted(run: Comparison, arm: ArmName, cost: Cost) -> float | None:
    if cost is Cost.DEVICE_MEMORY:
        return memory_peak(find(run.memory, arm=arm))
    rate = find(run.rates, arm=arm)
    return None if rate is None else rate.flops_per_s / rate.residues_per_s
