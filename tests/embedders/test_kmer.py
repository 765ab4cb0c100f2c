"""k-mer frequencies against counting both strands by hand, with Biopython's complement."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from Bio.Seq import reverse_complement
from hypothesis import given
from hypothesis import strategies as st

from embedders import RejectedSequence, load
from embedders.kmer import canonical_kmers, kmer_counts

DNA = st.text("ACGTN", min_size=4, max_size=80)


def _by_hand(nucleotides: str) -> dict[str, float]:
    counted: Counter[str] = Counter()
    for strand in (nucleotides, reverse_complement(nucleotides)):
        for start in range(len(strand) - 3):
            kmer = strand[start : start + 4]
            if set(kmer) <= set("ACGT"):
                counted[min(kmer, reverse_complement(kmer))] += 1
    total = sum(counted.values())
    return {kmer: count / total for kmer, count in counted.items()}


def test_features_are_136_and_each_stands_for_both_strands() -> None:
    features = canonical_kmers()
    assert len(features) == 136
    both = set(features) | {reverse_complement(kmer) for kmer in features}
    assert len(both) == 256


@given(DNA)
def test_frequencies_are_those_counted_by_hand(nucleotides: str) -> None:
    embedder = load("kmer4")
    try:
        embedder.clean(nucleotides)
    except RejectedSequence:
        assert not kmer_counts(nucleotides).any()
        return
    expected = _by_hand(nucleotides)
    row = embedder.embed([nucleotides])[0].numpy()
    np.testing.assert_allclose(
        row, [expected.get(kmer, 0.0) for kmer in canonical_kmers()], atol=1e-7
    )
    assert row.sum() == pytest.approx(1.0, abs=1e-6)


@given(DNA)
def test_the_other_strand_has_the_same_counts(nucleotides: str) -> None:
    assert np.array_equal(kmer_counts(nucleotides), kmer_counts(reverse_complement(nucleotides)))


def test_rna_has_the_vector_of_its_dna() -> None:
    embedder = load("kmer4")
    rna, dna = embedder.embed(["acguuugca", "ACGTTTGCA"])
    assert torch.equal(rna, dna)


@pytest.mark.parametrize("nucleotides", ["ACG", "NNNNNN", "ACGNACG"])
def test_a_sequence_without_a_kmer_is_rejected_with_its_index(nucleotides: str) -> None:
    with pytest.raises(RejectedSequence, match="sequence 1: no 4 unambiguous"):
        load("kmer4").embed(["ACGT", nucleotides])
