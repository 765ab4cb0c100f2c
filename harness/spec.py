"""One migration described: both arms, the data, the measurements and the gates (TOML)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Self

from embedders import Truncation
from embedders.errors import InputError
from harness.documents import read_toml

SCHEMA = 1


class ArmName(StrEnum):
    """The two sides of a migration."""

    BASELINE = "baseline"
    CANDIDATE = "candidate"


class SpecError(InputError):
    """A migration file that cannot be used; the message names the file and the key."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One embedder as it would be deployed; what is left out is the embedder's own default.

    ``tokens_per_batch`` counts padding, BOS and EOS. ``expected_width`` is the user's own
    expectation, checked against the data. ``layers`` cuts the depth of random weights, for trials
    on small machines.
    """

    embedder: str
    runtime: str | None = None
    weights: str | None = None
    dtype: str | None = None
    tokens_per_batch: int = 4096
    attention: str | None = None
    expected_width: int | None = None
    revision: str | None = None
    remote_code: bool = False
    layers: int | None = None

    def __post_init__(self) -> None:
        _at_least("tokens_per_batch", self.tokens_per_batch, 1)

    def with_overrides(self, *, weights: str | None = None, layers: int | None = None) -> Self:
        """Return the same embedder with other weights or of another depth, where one is given."""
        return replace(self, weights=weights or self.weights, layers=layers or self.layers)


@dataclass(frozen=True, slots=True)
class Dna:
    """The DNA half of the merged features; the same for both arms."""

    embedder: str = "kmer4"
    weights: str | None = None
    tokens_per_batch: int = 4096
    expected_width: int | None = None
    revision: str | None = None
    remote_code: bool = False


@dataclass(frozen=True, slots=True)
class Dataset:
    """Labelled sequences; paths are relative to the migration file.

    The DNA half comes from ``nucleotides`` (embedded here), from ``dna_features`` (a folder that
    the original pipeline wrote), or is absent. What is not ``required`` is judged and shown, but
    has no say in the verdict.
    """

    name: str
    proteins: Path
    labels: Path
    nucleotides: Path | None = None
    dna_features: Path | None = None
    required: bool = True

    def __post_init__(self) -> None:
        check_name("dataset", self.name)
        if self.nucleotides and self.dna_features:
            raise InputError(f"dataset {self.name!r}: give nucleotides or dna_features, not both")

    def inputs(self) -> tuple[Path, ...]:
        """Return the single files that are read."""
        return tuple(each for each in (self.proteins, self.labels, self.nucleotides) if each)


@dataclass(frozen=True, slots=True)
class Embedding:
    """What both arms share when they embed."""

    device: str = "auto"
    truncation: Truncation = Truncation.TRUNCATE
    shard_size: int = 10_000

    def __post_init__(self) -> None:
        _at_least("shard_size", self.shard_size, 1)


@dataclass(frozen=True, slots=True)
class ClassificationPlan:
    """How both arms' classifiers are retrained: identical folds, seeds and recipe.

    ``modality_seeds``: on so many of the seeds, classifiers are also trained on the DNA half and on
    the protein half alone; 0 leaves it out.
    """

    recipe: str = "fast"
    folds: int = 5
    seeds: tuple[int, ...] = tuple(range(10))
    modality_seeds: int = 3

    def __post_init__(self) -> None:
        _at_least("folds", self.folds, 2)
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise InputError(f"seeds must be distinct and at least one, not {list(self.seeds)}")
        _at_least("modality_seeds", self.modality_seeds, 0)


class GroupSource(StrEnum):
    """What rows may share, so that they stay on one side of every split."""

    ACCESSION = "accession"
    COLUMN = "column"
    HOMOLOGY = "homology"


@dataclass(frozen=True, slots=True)
class Splits:
    """How rows are grouped: connected components of everything listed in ``groups``.

    ``column`` is a column of the table of labels. ``tool`` searches homologues: ``auto`` takes
    MMseqs2 where it is installed, else pyhmmer. ``identity`` and ``coverage`` are the least that
    two proteins share to count as homologues, in parts of 1. The leak report uses them as well.
    """

    groups: tuple[GroupSource, ...] = (GroupSource.ACCESSION, GroupSource.COLUMN)
    column: str = "group"
    tool: str = "auto"
    identity: float = 0.3
    coverage: float = 0.5

    def __post_init__(self) -> None:
        if not self.groups or len(set(self.groups)) != len(self.groups):
            raise InputError(f"splits.groups must be distinct and at least one, not {self.groups}")
        if self.tool not in ("auto", "mmseqs", "pyhmmer"):
            raise InputError(f"splits.tool must be auto, mmseqs or pyhmmer, not {self.tool!r}")
        for key in ("identity", "coverage"):
            if not 0 < getattr(self, key) <= 1:
                raise InputError(f"{key} must be above 0 and at most 1, not {getattr(self, key)}")


@dataclass(frozen=True, slots=True)
class ThroughputPlan:
    """What is timed: ``rounds`` disjoint sets of ``sequences`` with like length mixes.

    ``warmup_rounds`` is the most that go before the paired rounds. ``attribution_rounds``: of up to
    six models at once, to tell what the gain is made of; 0 leaves it out.
    """

    dataset: str
    sequences: int = 96
    rounds: int = 6
    warmup_rounds: int = 1
    attribution_rounds: int = 0

    def __post_init__(self) -> None:
        _at_least("sequences", self.sequences, 1)
        _at_least("rounds", self.rounds, 2)
        if self.attribution_rounds == 1:
            raise InputError("attribution_rounds must be 0 or at least 2: one has no spread")
        _at_least("warmup_rounds", self.warmup_rounds, 1)


@dataclass(frozen=True, slots=True)
class Gates:
    """The limits, fixed before the run.

    Margins are in absolute rate (0.05 is five points). ``speedup_at_least`` is candidate over
    baseline; ``device_memory_at_most`` is candidate over baseline peak. A limit left out is not a
    gate; a gate listed here that cannot be measured keeps the verdict from passing. ``alpha`` is
    the one-sided level of every interval that decides: how often a candidate may pass that must
    not.
    """

    sensitivity_margin: float
    specificity_margin: float
    speedup_at_least: float | None = None
    device_memory_at_most: float | None = None
    alpha: float = 0.025

    def __post_init__(self) -> None:
        for key in ("sensitivity_margin", "specificity_margin"):
            value = getattr(self, key)
            if not 0 < value < 1:
                raise InputError(f"{key} must lie between 0 and 1, not {value}")
        for key in ("speedup_at_least", "device_memory_at_most"):
            value = getattr(self, key)
            if value is not None and not 0 < value < math.inf:
                raise InputError(f"{key} must be a number above 0, not {value}")
        if not 0 < self.alpha < 0.5:
            raise InputError(f"alpha must lie between 0 and one half, not {self.alpha}")

    @property
    def confidence(self) -> float:
        """Return the two-sided confidence of an interval with ``alpha`` on either side."""
        return 1 - 2 * self.alpha


@dataclass(frozen=True, slots=True)
class MigrationSpec:
    """One migration, whole."""

    schema: int
    name: str
    baseline: Arm
    candidate: Arm
    datasets: tuple[Dataset, ...]
    throughput: ThroughputPlan
    gates: Gates
    title: str = ""
    dna: Dna = field(default_factory=Dna)
    embedding: Embedding = field(default_factory=Embedding)
    classification: ClassificationPlan = field(default_factory=ClassificationPlan)
    splits: Splits = field(default_factory=Splits)

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise InputError(f"schema must be {SCHEMA}, not {self.schema}")
        check_datasets(self.datasets, self.throughput)

    def arm(self, name: ArmName) -> Arm:
        """Return one of the two arms."""
        return self.baseline if name is ArmName.BASELINE else self.candidate

    def dataset(self, name: str) -> Dataset:
        """Return the data set called ``name``."""
        return next(dataset for dataset in self.datasets if dataset.name == name)

    def with_overrides(
        self, *, weights: str | None = None, device: str | None = None, layers: int | None = None
    ) -> MigrationSpec:
        """Return the same migration with other weights, device or depth on both arms."""
        return replace(
            self,
            baseline=self.baseline.with_overrides(weights=weights, layers=layers),
            candidate=self.candidate.with_overrides(weights=weights, layers=layers),
            embedding=replace(self.embedding, device=device or self.embedding.device),
        )


def read_spec(path: Path) -> MigrationSpec:
    """Read a migration file; relative paths in it start at its own folder.

    Raises
    ------
    SpecError
        If the file cannot be read, holds an unknown key (the nearest valid one is named), a value
        of a wrong type, or a value out of range; or if a data file it names is missing.
    """
    spec = read_toml(path, MigrationSpec, error=SpecError)
    check_files(path, spec.datasets)
    return spec


def check_files(path: Path, datasets: tuple[Dataset, ...]) -> None:
    """Refuse, by a SpecError, a file whose data are not there."""
    for dataset in datasets:
        for file in (dataset.proteins, dataset.labels, dataset.nucleotides, dataset.dna_features):
            if file is not None and not file.exists():
                raise SpecError(f"{path}: datasets.{dataset.name}: no such file: {file}")


def check_name(kind: str, name: str) -> None:
    """Refuse a name that could not be part of a path.

    Raises
    ------
    InputError
        If it holds anything but letters, digits, '-' and '_'.
    """
    if not name.replace("-", "").replace("_", "").isalnum():
        raise InputError(f"{kind} name {name!r} may hold letters, digits, '-' and '_' only")


def check_datasets(datasets: tuple[Dataset, ...], throughput: ThroughputPlan) -> None:
    """Refuse data sets that are none or share a name, and a throughput that is of no data set.

    Raises
    ------
    InputError
        With the names that there are.
    """
    names = [dataset.name for dataset in datasets]
    if not names or len(set(names)) != len(names):
        raise InputError(f"datasets need distinct names and at least one, not {names}")
    if throughput.dataset not in names:
        raise InputError(f"throughput.dataset {throughput.dataset!r} is none of {names}")


def _at_least(key: str, value: int, least: int) -> None:
    if value < least:
        raise InputError(f"{key} must be at least {least}, not {value}")


__all__ = [
    "Arm",
    "ArmName",
    "ClassificationPlan",
    "Dataset",
    "Dna",
    "Embedding",
    "Gates",
    "GroupSource",
    "MigrationSpec",
    "SpecError",
    "Splits",
    "ThroughputPlan",
    "check_datasets",
    "check_files",
    "check_name",
    "read_spec",
]
