"""What a run found, as frozen records with one strict JSON form.

``docs/results-schema.md`` describes the file; ``SCHEMA`` is raised whenever a reader of the old
form would misread the new one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from cattrs import Converter
from cattrs.errors import BaseValidationError

from embedders import EmbedderSpec
from embedders.errors import InputError
from harness.costs import Attribution, Contest, MemorySplit, Rate, Roofline, Speedup
from harness.documents import exact_types, read_json
from harness.evidence import Classification, Decision, Detail, Endpoint, Grouping, Modality
from harness.files import write_text_atomically
from harness.provenance import Provenance, portable
from harness.spec import MigrationSpec

SCHEMA = "embedder-migration/comparison/2"
COMPARISON_FILE = "comparison.json"
BOTH_ARMS = "both arms"
"""Whose a parity check is that compares the arms with each other."""
AGREEMENT = "agreement with another runtime"
ROOFLINE = "roofline"
STEPS = "steps of the speed-up"
"""What cannot be measured of every embedder, as :attr:`Comparison.inapplicable` calls it: the last
as it is, the others behind the arm that they are of."""

T = TypeVar("T")


EXIT_CODES = {Decision.PASS: 0, Decision.FAIL: 1, Decision.INCONCLUSIVE: 3}


class ResultsError(InputError):
    """A stored result that cannot be read; the message names the file and the key."""


@dataclass(frozen=True, slots=True)
class WidthRow:
    """Widths seen in data, or (``source`` = ``architecture``) of a model built without weights.

    ``expected`` is the protein width that the migration file states, if it states one.
    """

    arm: str
    embedder: str
    dna: int
    protein: int
    merged: int
    expected: int | None
    source: str


@dataclass(frozen=True, slots=True)
class ParityCheck:
    """One question to one arm: is what it computes right?"""

    arm: str
    check: str
    sentence: str
    value: float
    limit: float
    at_least: bool

    @property
    def passed(self) -> bool:
        """Tell whether the value keeps its limit; a NaN never does."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit


@dataclass(frozen=True, slots=True)
class Throughput:
    """Seconds of each timed round of one arm, and the rates of the median round."""

    arm: str
    timer: str
    residues_per_round: tuple[int, ...]
    sequences_per_round: int
    seconds: tuple[float, ...]
    residues_per_s: float
    sequences_per_s: float


@dataclass(frozen=True, slots=True)
class Memory:
    """Peaks of one arm in a process of its own; None where there is no GPU or no NVML.

    ``host_start_rss_bytes`` is the peak after imports and before the model; ``nvml_method`` is
    ``process`` or ``device difference`` (used where NVML cannot see the process).
    """

    arm: str
    device: str
    host_peak_rss_bytes: int
    host_start_rss_bytes: int
    device_peak_allocated_bytes: int | None
    device_peak_reserved_bytes: int | None
    nvml_used_bytes: int | None
    nvml_method: str | None


@dataclass(frozen=True, slots=True)
class Extraction:
    """One arm's (or the DNA half's) way through a data set."""

    part: str
    dataset: str
    records: int
    embedded: int
    rejected: int
    residues: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition of the migration: what was asked, what was found, what follows.

    One that is not ``required`` has no say in the verdict.
    """

    name: str
    limit: float | None
    value: float | None
    lower: float | None
    upper: float | None
    decision: Decision
    reason: str
    required: bool = True


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision on the whole migration and its reason in one sentence."""

    decision: Decision
    reason: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """A whole run; ``unclassified`` says why a data set could not be cut into folds."""

    schema: str
    run: str
    spec: MigrationSpec
    provenance: Provenance
    arms: dict[str, EmbedderSpec]
    widths: tuple[WidthRow, ...]
    parity: tuple[ParityCheck, ...]
    extraction: tuple[Extraction, ...]
    throughput: tuple[Throughput, ...]
    speedup: Speedup | None
    memory: tuple[Memory, ...]
    classification: tuple[Classification, ...]
    gates: tuple[Gate, ...]
    verdict: Verdict
    endpoints: tuple[Endpoint, ...] = ()
    unclassified: dict[str, str] = field(default_factory=dict)
    inapplicable: dict[str, str] = field(default_factory=dict)
    groupings: tuple[Grouping, ...] = ()
    details: tuple[Detail, ...] = ()
    modalities: tuple[Modality, ...] = ()
    contest: Contest | None = None
    rates: tuple[Rate, ...] = ()
    memory_splits: tuple[MemorySplit, ...] = ()
    roofline: Roofline | None = None
    attribution: Attribution | None = None

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ResultsError(f"schema is {self.schema!r}, this version reads {SCHEMA!r}")


def find(records: Iterable[T], **wanted: object) -> T | None:
    """Return the first record whose fields have the wanted values, or None."""
    for record in records:
        if all(getattr(record, key) == value for key, value in wanted.items()):
            return record
    return None


def to_json(record: object) -> str:
    """Return strict JSON; a value that JSON has no form for (NaN, infinity) raises ValueError."""
    document = _converter().unstructure(record)
    return json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def write_comparison(comparison: Comparison, folder: Path) -> Path:
    """Write ``comparison.json`` into ``folder`` whole or not at all; return its path."""
    path = folder / COMPARISON_FILE
    write_text_atomically(path, to_json(comparison))
    return path


def read_comparison(folder: Path) -> Comparison:
    """Read a run's ``comparison.json``; see :func:`read_record`."""
    return read_record(folder / COMPARISON_FILE, Comparison, schema=SCHEMA)


def read_record(path: Path, kind: type[T], *, schema: str) -> T:
    """Read a file that holds one record as :func:`to_json` gave it.

    Raises
    ------
    ResultsError
        If there is none, it is not strict JSON, or it is of another schema.
    """
    document = read_json(path, schema=schema, error=ResultsError, remedy="run it again")
    try:
        return _converter().structure(document, kind)
    except (BaseValidationError, InputError) as error:
        raise ResultsError(f"{path}: does not follow {schema}: {error}") from error


def _converter() -> Converter:
    converter = Converter(forbid_extra_keys=True)
    exact_types(converter)
    converter.register_unstructure_hook(Path, portable)
    converter.register_structure_hook(Path, lambda value, _: Path(value))
    converter.register_unstructure_hook(float, _finite)
    return converter


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{value} has no form in strict JSON: mark it as not measured instead")
    return float(value)
