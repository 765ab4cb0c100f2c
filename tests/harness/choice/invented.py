"""Comparisons of several candidates with one baseline, made up so that rates can be counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from harness import judge, provenance
from harness.choice import CANDIDATES, Candidate, ChoiceSpec, Cost, Judged, choice_of
from harness.evidence import Classification
from harness.judge import Multiplicity
from harness.measure import summarise_pairs
from harness.results import BOTH_ARMS, Comparison, ParityCheck
from harness.spec import Arm, ArmName, ClassificationPlan, Dataset, Gates, ThroughputPlan
from tests.harness.example_run import comparison
from tests.harness.example_run import grouping as grouping_of_the_example
from tests.harness.judge.stored_runs import predictions

SEEDS = (0, 1)
NOISE = (1.0, 1.01, 0.99, 1.0)
"""By how much the rounds of every candidate differ from each other."""


@dataclass(frozen=True)
class Made:
    """A candidate that misses so many of 600 viral rows and is so many times faster.

    ``parity`` tells whether its audit passed. Alone, its p-value is 0.0022 with 12 missed, 0.0069
    with 16, 0.016 with 18 and 0.036 with 20; with 80 it fails.
    """

    name: str
    missed: int = 0
    faster: float = 2.0
    parity: bool = True
    noise: Sequence[float] = NOISE


@cache
def origin() -> provenance.Provenance:
    return provenance.collect("harness choose x.toml", (), datetime(2026, 1, 1, tzinfo=UTC))


def spec(
    *names: str,
    multiplicity: Multiplicity = Multiplicity.HOLM,
    cost: Cost = Cost.TIME,
    alpha: float = 0.025,
) -> ChoiceSpec:
    return ChoiceSpec(
        schema=1,
        name="choice",
        baseline=Arm("old", weights="mini"),
        candidates=tuple(Candidate(name=name, embedder="new", weights="mini") for name in names),
        datasets=(Dataset("d", Path("p.faa"), Path("l.csv")),),
        throughput=ThroughputPlan("d"),
        gates=Gates(0.05, 0.05, speedup_at_least=1.2, alpha=alpha),
        multiplicity=multiplicity,
        cost=cost,
        classification=ClassificationPlan(seeds=SEEDS),
    )


def run_of(made: Made, asked: ChoiceSpec, folder: Path) -> Comparison:
    """Write both arms' predictions into a folder and return the comparison that they amount to."""
    (folder / "predictions").mkdir(parents=True)
    classified: list[Classification] = []
    for arm, missed in ((ArmName.BASELINE, 0), (ArmName.CANDIDATE, made.missed)):
        file = folder / "predictions" / f"d-{arm}.csv"
        judge.write_predictions(file, predictions(missed=missed, seeds=SEEDS))
        classified += judge.summarise(
            judge.read_predictions(file),
            arm=arm,
            dataset="d",
            file=file.relative_to(folder).as_posix(),
            sha256=provenance.sha256(file),
        )
    arms = [judge.read_predictions(folder / "predictions" / f"d-{arm}.csv") for arm in ArmName]
    candidate = next(each for each in asked.candidates if each.name == made.name)
    run = replace(
        comparison(),
        run=made.name,
        spec=asked.migration(candidate),
        parity=tuple(
            ParityCheck(arm, "check", "asked?", 0.0 if made.parity else 1.0, 0.5, at_least=False)
            for arm in (*ArmName, BOTH_ARMS)
        ),
        speedup=summarise_pairs(
            [(made.faster * part, 1.0) for part in made.noise],
            confidence=asked.gates.confidence,
        ),
        classification=tuple(classified),
        endpoints=judge.paired_endpoints(*arms, dataset="d", gates=asked.gates),
        unclassified={},
        groupings=(),
        details=(),
        modalities=(),
    )
    gates = judge.gates_of(run)
    return replace(run, gates=tuple(gates), verdict=judge.decide(gates))


def with_details(run: Comparison, folder: Path) -> Comparison:
    """Add what recomputing a stored run needs beside: groups of the rows, and details."""
    before, after = (
        judge.read_predictions(folder / "predictions" / f"d-{arm}.csv") for arm in ArmName
    )
    examples = before.examples
    rows = judge.Rows(
        ids=examples.ids,
        contigs=examples.contigs,
        labels=tuple(judge.CLASSES[label] for label in examples.labels.tolist()),
        groups=examples.groups,
        clusters=("",) * len(examples),
        components=examples.groups,
        residues=(100,) * len(examples),
        frames=("",) * len(examples),
    )
    file = folder / "splits" / "d.csv"
    file.parent.mkdir()
    judge.write_rows(file, rows)
    grouping = replace(
        grouping_of_the_example(), file="splits/d.csv", sha256=provenance.sha256(file)
    )
    strata = judge.strata(judge.read_rows(file), examples.ids)
    details = judge.details(before, after, strata, dataset="d", gates=run.spec.gates)
    return replace(run, groupings=(grouping,), details=details)


def runs_of(asked: ChoiceSpec, folder: Path, *made: Made) -> dict[str, Comparison]:
    return {each.name: run_of(each, asked, folder / CANDIDATES / each.name) for each in made}


def judged(asked: ChoiceSpec, folder: Path, *made: Made) -> Judged:
    """Return the choice among made-up candidates."""
    return choice_of(
        asked,
        runs_of(asked, folder, *made),
        folder,
        provenance=origin(),
    )
