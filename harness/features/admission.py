"""Which records may be embedded: the cleaning policy, and what only the file can be wrong about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from embedders.contract import Cleaned, EmbedderSpec
from embedders.errors import RejectedSequence
from harness.features.fasta import Record, read_fasta
from harness.features.rejects import Reject


class Cleaner(Protocol):
    """The part of an embedder, or of what stands for one, that needs no model."""

    @property
    def spec(self) -> EmbedderSpec:
        """What the embedder is."""
        ...

    def clean(self, sequence: str) -> Cleaned:
        """Apply the cleaning policy."""
        ...


def admit(record: Record, clean: Callable[[str], Cleaned]) -> Cleaned | Reject:
    """Apply a cleaning policy to a record, or say why it is left out."""
    if not record.sequence:
        return _refuse(record, "no sequence under the title line")
    # a '>' behind a '<' is a token written out, which the cleaning policy has its own words for
    if ">" in record.sequence and "<" not in record.sequence:
        return _refuse(record, "a '>' inside a line: a line break is missing")
    if "\0" in record.id:
        return _refuse(record, "a NUL byte in the id")
    try:
        return clean(record.sequence)
    except RejectedSequence as rejection:
        return _refuse(record, rejection.reason)


def admitted_residues(fasta: Path, clean: Callable[[str], Cleaned]) -> Iterator[str]:
    """Yield the cleaned residues of each record that may be embedded, in the order of the file."""
    for record in read_fasta(fasta):
        cleaned = admit(record, clean)
        if not isinstance(cleaned, Reject):
            yield cleaned.residues


def admitted_records(
    fasta: Path, clean: Callable[[str], Cleaned]
) -> tuple[dict[str, str], set[str]]:
    """Return the cleaned residues of each record by id, and the ids of those left out."""
    admitted: dict[str, str] = {}
    rejected: set[str] = set()
    for record in read_fasta(fasta):
        cleaned = admit(record, clean)
        if isinstance(cleaned, Reject):
            rejected.add(record.id)
        else:
            admitted[record.id] = cleaned.residues
    return admitted, rejected


def _refuse(record: Record, reason: str) -> Reject:
    return Reject(record.id, record.number, reason)
