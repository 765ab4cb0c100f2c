"""From the comparisons of all candidates with one baseline to the one that is named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import judge, recomputation
from harness.choice.costs import confidence_of_rivals, relative_cost, rivals
from harness.choice.records import SCHEMA, Choice, Rival, Standing
from harness.choice.spec import ChoiceSpec, Cost
from harness.costs import Speedup
from harness.evidence import Decision, Estimate
from harness.provenance import Provenance
from harness.report.numerals import times
from harness.results import Comparison, Verdict

CANDIDATES = "candidates"
"""The folder, below that of a choice, in which each candidate has one by its name."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A choice, and the comparison of each candidate at the level at which it was judged."""

    choice: Choice
    comparisons: dict[str, Comparison]


def choice_of(
    spec: ChoiceSpec,
    comparisons: Mapping[str, Comparison],
    folder: Path,
    *,
    provenance: Provenance,
) -> Judged:
    """Judge every candidate at its share of alpha, and name the cheapest of those that pass.

    Everything follows from the stored predictions and from the records of ``comparisons``, at
    whatever level these were judged before.

    Parameters
    ----------
    spec
        What was asked.
    comparisons
        By name of candidate, in the order of the file.
    folder
        That of the choice; the predictions of each candidate are in ``candidates/<name>``.
    provenance
        Of the choice, for its record.
    """
    folders = {name: folder / CANDIDATES / name for name in comparisons}
    tests = {name: recomputation.p_values(run, folders[name]) for name, run in comparisons.items()}
    p_values = [max(tests[name].values(), default=1.0) for name in comparisons]
    shares = judge.shares_of_alpha(p_values, alpha=spec.gates.alpha, method=spec.multiplicity)
    adjusted = judge.adjusted_p_values(p_values, spec.multiplicity)
    judged = {
        name: recomputation.at_level(
            run, folders[name], spec.gates.alpha if share is None else share
        )
        for (name, run), share in zip(comparisons.items(), shares, strict=True)
    }
    standings = tuple(
        _standing(name, run, share, tests[name], level, spec.cost)
        for (name, run), share, level in zip(judged.items(), shares, adjusted, strict=True)
    )
    chosen, others = _cheapest(standings)
    found: tuple[Rival, ...] = ()
    if chosen is not None:
        found = rivals(
            judged[chosen],
            {name: judged[name] for name in others},
            cost=spec.cost,
            alpha=spec.gates.alpha,
        )
    choice = Choice(
        schema=SCHEMA,
        run=folder.name,
        spec=spec,
        provenance=provenance,
        standings=standings,
        chosen=chosen,
        rivals=found,
        confidence=confidence_of_rivals(len(found), spec.gates.alpha),
        verdict=_verdict(standings, chosen, found, spec.cost),
    )
    return Judged(choice, judged)


def _standing(
    name: str,
    run: Comparison,
    share: float | None,
    tests: Mapping[str, float],
    adjusted: float,
    cost: Cost,
) -> Standing:
    decision, reason = run.verdict.decision, run.verdict.reason
    if share is None and decision is Decision.PASS:
        decision = Decision.INCONCLUSIVE
        reason = "not asked, because one before it in the sequence did not pass"
    return Standing(
        name=name,
        folder=f"{CANDIDATES}/{name}",
        decision=decision,
        reason=reason,
        level=run.spec.gates.alpha,
        asked=share is not None,
        p_values=dict(tests),
        p_value=max(tests.values(), default=1.0),
        adjusted_p_value=adjusted,
        gates=run.gates,
        speedup=_estimate(run.speedup),
        cost=relative_cost(run, cost),
    )


def _estimate(paired: Speedup | None) -> Estimate:
    if paired is None:
        return Estimate(None, None, None)
    return Estimate(paired.ratio, paired.lower, paired.upper)


def _cheapest(standings: Sequence[Standing]) -> tuple[str | None, list[str]]:
    """Return who costs least of those that pass, and who else passes.

    Nobody, if the cost of one that passes is not known: it might be the cheapest.
    """
    passed = [each for each in standings if each.decision is Decision.PASS]
    costs = {each.name: each.cost.value for each in passed}
    known = {name: value for name, value in costs.items() if value is not None}
    if not known or len(known) < len(costs):
        return None, []
    chosen = min(known, key=known.__getitem__)  # the first in the file, of equal ones
    return chosen, [name for name in known if name != chosen]


def _verdict(
    standings: Sequence[Standing], chosen: str | None, found: Sequence[Rival], cost: Cost
) -> Verdict:
    passed = [each for each in standings if each.decision is Decision.PASS]
    count = f"{len(passed)} of {len(standings)} candidates pass"
    if chosen is not None:
        value = next(each.cost.value for each in standings if each.name == chosen)
        said = f"{chosen} is named: {count}, and it has the least {cost.quantity}"
        said += "" if value is None else f" ({times(value)} of the baseline's)"
        close = [each.name for each in found if not each.told_apart]
        said += f"; not told apart from it by cost: {', '.join(close)}" if close else ""
        return Verdict(Decision.PASS, said)
    if passed:
        unknown = ", ".join(each.name for each in passed if each.cost.value is None)
        return Verdict(
            Decision.INCONCLUSIVE, f"{count}, but the {cost.quantity} of {unknown} was not measured"
        )
    if all(each.decision is Decision.FAIL for each in standings):
        return Verdict(Decision.FAIL, f"all {len(standings)} candidates miss a limit")
    open_yet = ", ".join(each.name for each in standings if each.decision is not Decision.FAIL)
    return Verdict(Decision.INCONCLUSIVE, f"nobody passes; undecided: {open_yet}")
