"""One choice described: a baseline, several candidates for its place, the data and the gates."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from pathlib import Path

from embedders.errors import InputError
from harness.documents import read_toml
from harness.judge import Multiplicity
from harness.spec import (
    SCHEMA,
    Arm,
    ClassificationPlan,
    Dataset,
    Dna,
    Embedding,
    Gates,
    MigrationSpec,
    SpecError,
    Splits,
    ThroughputPlan,
    check_datasets,
    check_files,
    check_name,
)


class Cost(StrEnum):
    """What the cheapest candidate has least of, as a part of what the baseline has.

    ``time`` of paired rounds on equal inputs; peak ``device-memory``; useful ``flops`` per residue.
    """

    TIME = "time"
    DEVICE_MEMORY = "device-memory"
    FLOPS = "flops"

    @property
    def quantity(self) -> str:
        """What it is called in a sentence."""
        return {"time": "time", "device-memory": "device memory"}.get(self, "arithmetic")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate(Arm):
    """One embedder that may take the baseline's place; the name is also that of its folder."""

    name: str

    def __post_init__(self) -> None:
        Arm.__post_init__(self)
        check_name("candidate", self.name)

    def arm(self) -> Arm:
        """Return the same embedder as an arm of a migration."""
        return Arm(**{each.name: getattr(self, each.name) for each in fields(Arm)})


@dataclass(frozen=True, slots=True)
class ChoiceSpec:
    """One choice, whole: a migration file with ``candidates`` instead of one candidate.

    ``gates.alpha`` is kept for all candidates together: at most so often one passes that must not,
    whichever it is. ``multiplicity`` says how; the order of ``fixed-sequence`` is that of the file.
    """

    schema: int
    name: str
    baseline: Arm
    candidates: tuple[Candidate, ...]
    datasets: tuple[Dataset, ...]
    throughput: ThroughputPlan
    gates: Gates
    title: str = ""
    multiplicity: Multiplicity = Multiplicity.HOLM
    cost: Cost = Cost.TIME
    dna: Dna = field(default_factory=Dna)
    embedding: Embedding = field(default_factory=Embedding)
    classification: ClassificationPlan = field(default_factory=ClassificationPlan)
    splits: Splits = field(default_factory=Splits)

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise InputError(f"schema must be {SCHEMA}, not {self.schema}")
        names = [each.name for each in self.candidates]
        # a file system may take names for one that differ by case alone
        if not names or len({name.casefold() for name in names}) != len(names):
            raise InputError(f"candidates need distinct names and at least one, not {names}")
        check_datasets(self.datasets, self.throughput)

    def migration(self, candidate: Candidate) -> MigrationSpec:
        """Return the migration from the baseline to one candidate, as if it were the only one."""
        return MigrationSpec(
            schema=self.schema,
            name=f"{self.name}-{candidate.name}",
            baseline=self.baseline,
            candidate=candidate.arm(),
            datasets=self.datasets,
            throughput=self.throughput,
            gates=self.gates,
            title=f"{self.title or self.name}: {candidate.name}",
            dna=self.dna,
            embedding=self.embedding,
            classification=self.classification,
            splits=self.splits,
        )

    def with_overrides(
        self, *, weights: str | None = None, device: str | None = None, layers: int | None = None
    ) -> ChoiceSpec:
        """Return the same choice with other weights, device or depth on all arms."""
        return replace(
            self,
            baseline=self.baseline.with_overrides(weights=weights, layers=layers),
            candidates=tuple(
                each.with_overrides(weights=weights, layers=layers) for each in self.candidates
            ),
            embedding=replace(self.embedding, device=device or self.embedding.device),
        )


def read_choice_spec(path: Path) -> ChoiceSpec:
    """Read a choice file; relative paths in it start at its own folder.

    Raises
    ------
    SpecError
        As :func:`harness.spec.read_spec`.
    """
    spec = read_toml(path, ChoiceSpec, error=SpecError)
    check_files(path, spec.datasets)
    return spec
