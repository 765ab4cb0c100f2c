"""Homologous proteins by HMMER's phmmer (pyhmmer): Eddy 2011; Larralde and Zeller 2023.

Eddy, "Accelerated profile HMM searches", PLOS Computational Biology 7, 2011. Larralde and Zeller,
"PyHMMER", Bioinformatics 39, 2023.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from itertools import islice
from threading import local
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pyhmmer.plan7 import Alignment, Hit

EVALUE = 1e-3
CALIBRATION = 40
"""Random sequences that each model is calibrated on. HMMER takes 200, which is most of the time of
a search of few proteins; with 40 an E-value is off by a factor of about 1.2."""
LONGEST = 4_096
"""Residues of a longer protein beyond these are not compared: memory grows with the square."""
MOST_PARTNERS = 1_000
"""At most so many homologues of each protein are kept, the best first."""


def version() -> str | None:
    """Return the version of pyhmmer, or None where it is not installed."""
    try:
        return metadata.version("pyhmmer")
    except metadata.PackageNotFoundError:
        return None


def search(proteins: Sequence[str], identity: float, coverage: float) -> NDArray[np.int64]:
    """Search every protein against those of like length that are no shorter.

    Each two are compared once, which halves the time. Two proteins whose lengths differ by more
    than ``coverage`` allows cannot cover each other, so they are not compared; MMseqs2 has the
    same rule.

    Parameters
    ----------
    proteins
        Distinct, ascending by length.
    identity
        Least part of the columns of the alignment, gaps included, that are equal.
    coverage
        Least part of each of the two that the alignment spans.

    Returns
    -------
    numpy.ndarray
        int64 ``(m, 2)``: numbers of two homologous proteins, none twice.
    """
    from tqdm import tqdm  # noqa: PLC0415

    table = _Table(proteins, identity, coverage)
    # the longest first, so that no thread is left with a long one at the end
    queries = range(len(proteins) - 1, -1, -1)
    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        found = tqdm(
            threads.map(table.partners, queries),
            total=len(proteins),
            desc="homologues",
            unit="protein",
            disable=None,
            leave=False,
        )
        pairs = [
            (query, other) for query, others in zip(queries, found, strict=True) for other in others
        ]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


class _Table:
    """Digital proteins, ascending by length; each thread has a builder and a pipeline of its own.

    Results do not depend on threads: both are seeded anew for each query.
    """

    def __init__(self, proteins: Sequence[str], identity: float, coverage: float) -> None:
        from pyhmmer import easel  # noqa: PLC0415

        self._alphabet = easel.Alphabet.amino()
        self._proteins = easel.DigitalSequenceBlock(
            self._alphabet,
            [
                easel.TextSequence(name=str(number), sequence=each[:LONGEST]).digitize(
                    self._alphabet
                )
                for number, each in enumerate(proteins)
            ],
        )
        self._lengths = [len(each) for each in self._proteins]
        self._identity = identity
        self._coverage = coverage
        self._own = local()

    def partners(self, query: int) -> list[int]:
        """Return the numbers of a protein's homologues that come after it."""
        length = self._lengths[query]
        last = bisect_right(self._lengths, length / self._coverage)
        if last == query + 1:
            return []
        return list(islice(self._hits(query, last), MOST_PARTNERS))

    def _hits(self, query: int, last: int) -> Iterator[int]:
        if not hasattr(self._own, "pipeline"):
            self._make_tools()
        pipeline = self._own.pipeline
        pipeline.clear()
        hits = pipeline.search_seq(
            self._proteins[query], self._proteins[query + 1 : last], builder=self._own.builder
        )
        for hit in hits:
            other = int(hit.name)
            if self._is_near(hit, query, other):
                yield other

    def _make_tools(self) -> None:
        from pyhmmer import plan7  # noqa: PLC0415

        self._own.builder = plan7.Builder(
            self._alphabet, EmN=CALIBRATION, EvN=CALIBRATION, EfN=CALIBRATION
        )
        # the number of proteins is fixed, so that an E-value does not depend on the like lengths
        self._own.pipeline = plan7.Pipeline(
            self._alphabet, E=EVALUE, domE=EVALUE, Z=len(self._lengths), domZ=len(self._lengths)
        )

    def _is_near(self, hit: Hit, query: int, other: int) -> bool:
        """Tell whether domains in line with each other, the best first, reach the limits together.

        HMMER may cut one distant homology into several local alignments.
        """
        kept: list[Alignment] = []
        for domain in sorted(hit.domains.reported, key=lambda each: -each.score):
            alignment = domain.alignment
            if all(_in_line(alignment, each) or _in_line(each, alignment) for each in kept):
                kept.append(alignment)
                if self._suffices(kept, query, other):
                    return True
        return False

    def _suffices(self, kept: Sequence[Alignment], query: int, other: int) -> bool:
        equal = sum(map(_equal_columns, kept))
        columns = sum(len(each.hmm_sequence) for each in kept)
        spans = (
            sum(each.hmm_to - each.hmm_from + 1 for each in kept) / self._lengths[query],
            sum(each.target_to - each.target_from + 1 for each in kept) / self._lengths[other],
        )
        return equal >= self._identity * columns and min(spans) >= self._coverage


def _in_line(first: Alignment, second: Alignment) -> bool:
    return first.hmm_to < second.hmm_from and first.target_to < second.target_from


def _equal_columns(alignment: Alignment) -> int:
    pairs = zip(alignment.hmm_sequence.upper(), alignment.target_sequence.upper(), strict=True)
    return sum(ours == theirs for ours, theirs in pairs)
