"""Labelled proteins as fine-tuning takes them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embedders.alphabet import clean_protein
from harness import features
from harness.tuning.errors import TuningError


@dataclass(frozen=True, slots=True, eq=False)
class Proteins:
    """What is learnt from: cleaned residues, 0 (host) or 1 (viral), and the group of each row."""

    residues: tuple[str, ...]
    labels: NDArray[np.int64]
    groups: tuple[str, ...]

    def __post_init__(self) -> None:
        rows = {len(self.residues), len(self.labels), len(self.groups)}
        if len(rows) != 1:
            raise TuningError(f"columns of {sorted(rows)} rows; as many of each are needed")

    def __len__(self) -> int:
        return len(self.residues)

    def take(self, rows: NDArray[np.int64]) -> Proteins:
        """Return some rows, in the order given."""
        return Proteins(
            tuple(self.residues[row] for row in rows),
            self.labels[rows],
            tuple(self.groups[row] for row in rows),
        )

    def digest(self) -> str:
        """SHA-256 over every row, in order."""
        whole = hashlib.sha256()
        for row in zip(self.residues, self.labels.tolist(), self.groups, strict=True):
            whole.update(repr(row).encode())
        return whole.hexdigest()


def read_proteins(fasta: Path, labels: Path) -> tuple[Proteins, int]:
    """Read a FASTA file and its table of labels; also return how many records were rejected.

    Raises
    ------
    InputError
        If a file cannot be read, or the ids of both do not match, rejected records aside.
    """
    admitted, rejected = features.admitted_records(fasta, clean_protein)
    table = features.join_labels(tuple(admitted), features.read_labels(labels), rejected=rejected)
    return Proteins(tuple(admitted.values()), table.labels, table.groups), len(rejected)


def residues_of(fasta: Path, ids: Sequence[str]) -> tuple[str, ...]:
    """Return the cleaned residues of each id.

    Raises
    ------
    TuningError
        If the file has no such record; the first is named.
    """
    admitted, _ = features.admitted_records(fasta, clean_protein)
    for each in ids:
        if each not in admitted:
            raise TuningError(f"{fasta}: has no protein {each!r} that can be embedded")
    return tuple(admitted[each] for each in ids)
