"""Windows of neighbouring records, read and cleaned, before they are embedded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, islice

from harness.features.admission import Cleaner, admit
from harness.features.fasta import Record
from harness.features.rejects import Reject


@dataclass(frozen=True, slots=True)
class CleanWindow:
    """What the cleaning policy made of one run of neighbouring records.

    ``records`` counts those that came in; ``kept`` are those admitted, with clean residues as
    their sequence. A window that stands already is counted only.
    """

    number: int
    records: int
    kept: tuple[Record, ...] = ()
    rejects: tuple[Reject, ...] = ()
    fixes: Counter[str] = field(default_factory=Counter)


def clean_windows(
    records: Iterator[Record], size: int, embedder: Cleaner, *, standing: Collection[int]
) -> Iterator[CleanWindow]:
    """Yield windows of ``size`` records, numbered from 0; those ``standing`` are not cleaned."""
    for number in count():
        window = _window(number, list(islice(records, size)), embedder, stands=number in standing)
        if window.records == 0:
            return
        yield window


def clean_window(number: int, records: Sequence[Record], embedder: Cleaner) -> CleanWindow:
    """Apply the cleaning policy to the records of one window."""
    kept: list[Record] = []
    rejects: list[Reject] = []
    fixes: Counter[str] = Counter()
    for record in records:
        fixes.update(record.fixes)
        admitted = admit(record, embedder.clean)
        if isinstance(admitted, Reject):
            rejects.append(admitted)
        else:
            fixes.update(admitted.fixes)
            kept.append(replace(record, sequence=admitted.residues))
    return CleanWindow(number, len(records), tuple(kept), tuple(rejects), fixes)


def _window(
    number: int, records: Sequence[Record], embedder: Cleaner, *, stands: bool
) -> CleanWindow:
    return CleanWindow(number, len(records)) if stands else clean_window(number, records, embedder)
