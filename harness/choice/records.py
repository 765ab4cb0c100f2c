"""What a choice found, as frozen records with one strict JSON form."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.choice.spec import ChoiceSpec
from harness.evidence import Decision, Estimate
from harness.files import write_text_atomically
from harness.provenance import Provenance
from harness.results import Gate, ResultsError, Verdict, read_record, to_json

SCHEMA = "embedder-migration/choice/1"
CHOICE_FILE = "choice.json"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one candidate stands among the others.

    ``folder`` holds its comparison with the baseline, judged at ``level``. ``p_values`` are those
    of the required gates, ``p_value`` the largest of them, and ``adjusted_p_value`` the smallest
    alpha, for all candidates together, at which this one passes. ``level`` is the one-sided level
    of its intervals; ``asked`` is False where a candidate before it in a fixed sequence did not
    pass, so that it cannot. ``cost`` is relative to the baseline's; without ends of an interval it
    was counted and not timed.
    """

    name: str
    folder: str
    decision: Decision
    reason: str
    level: float
    asked: bool
    p_values: dict[str, float]
    p_value: float
    adjusted_p_value: float
    gates: tuple[Gate, ...]
    speedup: Estimate
    cost: Estimate


@dataclass(frozen=True, slots=True)
class Rival:
    """A candidate that passed as well: its cost over that of the one that is named.

    ``told_apart`` is False where the named one need not be the cheaper of the two. Counted costs
    have no interval.
    """

    name: str
    ratio: float
    lower: float | None
    upper: float | None
    told_apart: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """A whole choice: every candidate's standing, and the cheapest of those that pass.

    ``chosen`` is None where nobody passes. ``rivals`` are compared with it, each at ``confidence``.
    """

    schema: str
    run: str
    spec: ChoiceSpec
    provenance: Provenance
    standings: tuple[Standing, ...]
    chosen: str | None
    rivals: tuple[Rival, ...]
    confidence: float
    verdict: Verdict

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ResultsError(f"schema is {self.schema!r}, this version reads {SCHEMA!r}")


def is_choice(folder: Path) -> bool:
    """Tell whether a folder is that of a choice."""
    return (folder / CHOICE_FILE).is_file()


def write_choice(choice: Choice, folder: Path) -> Path:
    """Write ``choice.json`` into ``folder`` whole or not at all; return its path."""
    path = folder / CHOICE_FILE
    write_text_atomically(path, to_json(choice))
    return path


def read_choice(folder: Path) -> Choice:
    """Read the ``choice.json`` of a folder; see :func:`harness.results.read_record`."""
    return read_record(folder / CHOICE_FILE, Choice, schema=SCHEMA)
