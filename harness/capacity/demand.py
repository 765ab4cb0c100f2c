"""What is to be embedded: so many sequences, and how long they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

from embedders import InputError
from embedders.alphabet import clean_protein
from harness import features

ID_BYTES = 32
"""Length of an id that is reckoned with where no file tells."""

_SUFFIXES = {"k": 10**3, "m": 10**6, "g": 10**9, "b": 10**9}


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long sequences are: ``counts`` holds ``(residues, sequences)``, the shortest first.

    ``source`` says in words where this comes from; ``id_bytes`` is the mean length of an id.
    """

    counts: tuple[tuple[int, int], ...]
    source: str
    id_bytes: int = ID_BYTES

    def __post_init__(self) -> None:
        if not self.counts or min(map(min, self.counts)) < 1 or self.id_bytes < 1:
            raise InputError(f"lengths need at least one sequence of at least one residue: {self}")

    @classmethod
    def all_of(cls, residues: int) -> Lengths:
        """Return sequences of one length."""
        return cls(((residues, 1),), f"{residues:,} residues each")

    @property
    def sequences(self) -> int:
        """How many were counted."""
        return sum(count for _, count in self.counts)

    @property
    def mean(self) -> float:
        """Residues of a sequence on average."""
        return sum(residues * count for residues, count in self.counts) / self.sequences

    def longer_than(self, residues: int) -> float:
        """Return the share of sequences that are longer."""
        return sum(count for each, count in self.counts if each > residues) / self.sequences

    def sample(self, rows: int) -> list[int]:
        """Return the lengths of ``rows`` sequences at even steps of the distribution.

        Examples
        --------
        >>> Lengths(((100, 3), (500, 1)), "a file").sample(8)
        [100, 100, 100, 100, 100, 100, 500, 500]
        """
        ends = list(accumulate(count for _, count in self.counts))
        drawn: list[int] = []
        for (residues, _), end in zip(self.counts, ends, strict=True):
            # the middles of equal steps that lie below this end: (i + 1/2) / rows < end / total
            below = -((-2 * rows * end + ends[-1]) // (2 * ends[-1]))
            drawn += [residues] * (below - len(drawn))
        return drawn


def lengths_of(residues: Iterable[int], source: str, id_bytes: int = ID_BYTES) -> Lengths:
    """Count lengths."""
    return Lengths(tuple(sorted(Counter(residues).items())), source, id_bytes)


def read_lengths(fasta: Path) -> Lengths:
    """Read the lengths of a file's proteins, after cleaning; what cannot be embedded is left out.

    Raises
    ------
    InputError
        If the file is missing, cannot be read as FASTA, or holds nothing that can be embedded.
    """
    if not fasta.is_file():
        raise InputError(f"{fasta}: no such file; give a FASTA file, plain or gzip")
    residues: Counter[int] = Counter()
    id_bytes = records = 0
    for record in features.read_fasta(fasta):
        admitted = features.admit(record, clean_protein)
        records += 1
        if not isinstance(admitted, features.Reject):
            residues[len(admitted.residues)] += 1
            id_bytes += len(record.id)
    if not residues:
        raise InputError(f"{fasta}: no sequence that can be embedded")
    taken = residues.total()
    left_out = f", {records - taken:,} left out" if records > taken else ""
    source = f"lengths of {taken:,} proteins of {fasta.name}{left_out}"
    return lengths_of(residues.elements(), source, round(id_bytes / taken))


def read_count(text: str) -> int:
    """Read a whole number of at least 1: ``1e9``, ``10_000_000``, ``10,000,000``, ``10M``, ``1B``.

    Raises
    ------
    InputError
        If it is none.

    Examples
    --------
    >>> read_count("1e9"), read_count("2.5M"), read_count("10_000")
    (1000000000, 2500000, 10000)
    """
    plain = text.strip().replace(",", "").replace("_", "")
    factor = _SUFFIXES.get(plain[-1:].lower(), 1)
    try:
        value = Decimal(plain[:-1] if factor > 1 else plain) * factor
    except InvalidOperation:
        value = Decimal(0)
    if not value.is_finite() or not 1 <= value <= 10**18 or Fraction(value).denominator != 1:
        raise InputError(
            f"{text!r} is no whole number of sequences from 1 to 1e18, such as 1e9 or 10M"
        )
    return int(value)
