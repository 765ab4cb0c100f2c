"""Windows of neighbouring records, read and cleaned, before they are embedded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, islice

from embedders.contract import Embedder
from harness.features.admission import admit
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
    records: Iterator[Record], size: int, embedder: Embedder, *, standing: Collection[int]
) -> Iterator[CleanWindow]:
    """Yield windows of ``size`` records, numbered from 0; those ``standing`` are not cleaned."""
    for number in count():
        window = _window(number, list(islice(records, size)), embedder, stands=number in standing)
        if window.records == 0:
            return
        yield window


def _window(
    number: int, records: Sequence[Record], embedder: Embedder, *, stands: bool
) -> CleanWindow:
    kept: list[Record] = []
    rejects: list[Reject] = []
    fixes: Counter[str] = Counter()
    for record in () if stands else records:
        fixes.update(record.fixes)
        admitted = admit(record, embedder.clean)
        if isinstance(admitted, Reject):
            rejects.append(admitted)
        else:
            fixes.update(admitted.fixes)
            kept.append(replace(record, sequence=admitted.residues))
    return CleanWindow(number, len(records), tuple(kept), tuple(rejects), fixes)
