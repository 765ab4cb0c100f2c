"""Numbers and lengths as a lab has them: read as they are meant, or refused."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedders import InputError
from harness.capacity import Lengths, lengths_of, read_count, read_lengths


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("1e9", 10**9),
        ("10_000_000", 10**7),
        ("10,000,000", 10**7),
        ("10M", 10**7),
        ("2.5k", 2500),
        ("1B", 10**9),
        ("3g", 3 * 10**9),
        ("1", 1),
    ],
)
def test_a_count_is_read_as_it_is_written(text: str, count: int) -> None:
    assert read_count(text) == count


@pytest.mark.parametrize(
    "text", ["", "0", "-5", "1.5", "1e-3", "nan", "inf", "1e19", "ten", "1e9e9", "M", "2.0005k"]
)
def test_what_is_no_whole_number_of_sequences_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="whole number of sequences"):
        read_count(text)


@given(st.integers(1, 10**18))
def test_every_whole_number_is_read_exactly(count: int) -> None:
    assert read_count(str(count)) == read_count(f"{count:,}") == read_count(f"{count:_}") == count


mixes = st.lists(st.integers(1, 40_000), min_size=1, max_size=60)


@given(mixes, st.integers(0, 500))
def test_a_sample_has_the_shares_of_the_mix(residues: list[int], rows: int) -> None:
    sample = lengths_of(residues, "drawn").sample(rows)
    assert len(sample) == rows
    drawn, wanted = Counter(sample), Counter(residues)
    for residue, count in wanted.items():
        assert abs(drawn[residue] - rows * count / len(residues)) < 1


@given(mixes)
def test_a_sample_as_large_as_the_mix_is_the_mix(residues: list[int]) -> None:
    assert lengths_of(residues, "drawn").sample(len(residues)) == sorted(residues)


def test_lengths_of_a_file_are_those_of_what_can_be_embedded(tmp_path: Path) -> None:
    fasta = tmp_path / "in.faa"
    # a stop at the end is removed, one inside refuses the record, an empty one is left out
    fasta.write_text(">a\nMKT*\n>bb\nMK*T\n>ccccc\nMKTAY\nIAK\n>d\n>e\nmkt\n", encoding="ascii")
    found = read_lengths(fasta)
    assert found.counts == ((3, 2), (8, 1))
    assert found.id_bytes == 2  # (1 + 5 + 1) / 3, rounded
    assert "in.faa" in found.source
    assert "2 left out" in found.source


@pytest.mark.parametrize("text", ["", ">a\n1234\n"])
def test_a_file_with_nothing_to_embed_is_refused(tmp_path: Path, text: str) -> None:
    fasta = tmp_path / "in.faa"
    fasta.write_text(text, encoding="ascii")
    with pytest.raises(InputError, match=r"in\.faa"):
        read_lengths(fasta)


def test_the_share_that_is_longer_than_the_window_is_counted() -> None:
    assert Lengths(((1024, 3), (1025, 1)), "given").longer_than(1024) == 0.25


@given(mixes, st.integers(1, 500))
def test_a_sample_favours_neither_short_nor_long(residues: list[int], rows: int) -> None:
    sample = lengths_of(residues, "drawn").sample(rows)
    for limit in residues:
        drawn = sum(each <= limit for each in sample)
        wanted = rows * sum(each <= limit for each in residues) / len(residues)
        assert abs(drawn - wanted) <= 0.5
