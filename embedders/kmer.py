"""Canonical k-mer frequencies: a nucleotide embedder that needs no weights.

A k-mer and its reverse complement are one feature, so a sequence and its reverse complement have
the same vector. For k = 4 there are 136 of them: (256 + 16 palindromes) / 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
import torch

from embedders.alphabet import clean_nucleotide
from embedders.contract import DEFAULT_TOKENS_PER_BATCH, Cleaned, EmbedderSpec
from embedders.embedder import clean_all
from embedders.errors import RejectedSequence

K = 4
_LETTERS = "ACGT"
_COMPLEMENT = str.maketrans(_LETTERS, _LETTERS[::-1])


def canonical_kmers() -> tuple[str, ...]:
    """List the 136 features in order: of each pair the alphabetically first, sorted.

    Examples
    --------
    >>> len(canonical_kmers()), canonical_kmers()[:2]
    (136, ('AAAA', 'AAAC'))
    """
    every = ("".join(letters) for letters in product(_LETTERS, repeat=K))
    return tuple(kmer for kmer in every if kmer <= kmer.translate(_COMPLEMENT)[::-1])


def _feature_table() -> npt.NDArray[np.int64]:
    """Feature of each of the 4^k k-mers, by its value as a number in base 4."""
    column = {kmer: index for index, kmer in enumerate(canonical_kmers())}
    every = ("".join(letters) for letters in product(_LETTERS, repeat=K))
    return np.array(
        [column[min(kmer, kmer.translate(_COMPLEMENT)[::-1])] for kmer in every], dtype=np.int64
    )


def _digit_table() -> npt.NDArray[np.int64]:
    table = np.full(256, -1, dtype=np.int64)
    for digit, letter in enumerate(_LETTERS):
        table[ord(letter)] = digit
    return table


_FEATURE_OF_KMER = _feature_table()
_DIGIT_OF_BYTE = _digit_table()
WIDTH = len(canonical_kmers())


def kmer_counts(nucleotides: str) -> npt.NDArray[np.int64]:
    """Count the canonical k-mers of one clean sequence; k-mers with an ambiguity code are skipped.

    Counting the other strand too would double every count, palindromes included, so the
    frequencies are those of both strands.

    Returns
    -------
    numpy.ndarray
        int64 ``(136,)``.
    """
    digits = _DIGIT_OF_BYTE[np.frombuffer(nucleotides.encode("ascii"), dtype=np.uint8)]
    if digits.size < K:
        return np.zeros(WIDTH, dtype=np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(digits, K)
    known = windows[(windows >= 0).all(axis=1)]
    values = known @ (len(_LETTERS) ** np.arange(K - 1, -1, -1))
    return np.bincount(_FEATURE_OF_KMER[values], minlength=WIDTH)


@dataclass(frozen=True, slots=True)
class KmerEmbedder:
    """Frequencies of canonical k-mers; satisfies :class:`embedders.contract.Embedder`."""

    spec: EmbedderSpec

    def clean(self, sequence: str) -> Cleaned:
        """Apply the nucleotide policy.

        Raises
        ------
        RejectedSequence
            Also if there is no k-mer without ambiguity codes to count.
        """
        cleaned = clean_nucleotide(sequence)
        if not kmer_counts(cleaned.residues).any():
            raise RejectedSequence(
                f"no {K} unambiguous nucleotides in a row among {len(cleaned.residues)}"
            )
        return cleaned

    def embed(
        self,
        sequences: Sequence[str],
        *,
        tokens_per_batch: int = DEFAULT_TOKENS_PER_BATCH,  # noqa: ARG002 - nothing is batched
    ) -> torch.Tensor:
        """Return frequencies, float32 ``(n, 136)``; each row sums to 1."""
        counts = np.zeros((len(sequences), WIDTH), dtype=np.int64)
        for row, nucleotides in enumerate(clean_all(self.clean, sequences)):
            counts[row] = kmer_counts(nucleotides)
        frequencies = counts / counts.sum(axis=1, keepdims=True)
        return torch.from_numpy(frequencies.astype(np.float32))
