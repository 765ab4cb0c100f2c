from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.features import FastaError, Record, read_fasta, survey_fasta

IDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)
RECORDS = st.lists(
    st.tuples(IDS, st.text("ACDEFGHIKLMNPQRSTVWY", max_size=130)),
    min_size=1,
    max_size=8,
    unique_by=lambda record: record[0],
)


def records_of(path: Path) -> list[tuple[str, str, int]]:
    return [(each.id, each.sequence, each.number) for each in read_fasta(path)]


@pytest.fixture
def fasta(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(content: bytes) -> Path:
        path = tmp_path / "in.fa"
        path.write_bytes(content)
        return path

    return write


@given(
    records=RECORDS,
    line_width=st.integers(1, 80),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    description=st.sampled_from(["", " some words > and more", "\tx"]),
    compressed=st.booleans(),
    last_line_ends=st.booleans(),
)
def test_records_come_back_whatever_line_width_line_end_and_compression(
    tmp_path_factory: pytest.TempPathFactory,
    records: list[tuple[str, str]],
    line_width: int,
    line_end: str,
    description: str,
    compressed: bool,
    last_line_ends: bool,
) -> None:
    lines = []
    for record_id, sequence in records:
        lines.append(f">{record_id}{description}")
        lines += [sequence[i : i + line_width] for i in range(0, len(sequence), line_width)]
    content = (line_end.join(lines) + (line_end if last_line_ends else "")).encode("ascii")
    path = tmp_path_factory.mktemp("fasta") / "in.fasta"
    path.write_bytes(gzip.compress(content) if compressed else content)
    assert records_of(path) == [
        (record_id, sequence, number) for number, (record_id, sequence) in enumerate(records, 1)
    ]
    survey = survey_fasta(path)
    assert survey.records == len(records)
    assert survey.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("content", [b"", b"\n\n \n", gzip.compress(b"")])
def test_a_file_without_a_record_is_an_error(
    fasta: Callable[[bytes], Path], content: bytes
) -> None:
    with pytest.raises(FastaError, match="no FASTA record"):
        records_of(fasta(content))


def test_a_missing_file_and_a_folder_are_errors_that_name_them(tmp_path: Path) -> None:
    for path in (tmp_path / "none.fa", tmp_path):
        with pytest.raises(FastaError, match=str(path)):
            records_of(path)


def test_a_record_without_a_sequence_is_yielded_empty(fasta: Callable[[bytes], Path]) -> None:
    assert records_of(fasta(b">a\n>b\nMK\n>c")) == [("a", "", 1), ("b", "MK", 2), ("c", "", 3)]


@pytest.mark.parametrize("content", [b"junk\n>a\nMK\n", b"\n; old comment\n>a\nMK\n", b" >a\nMK\n"])
def test_text_before_the_first_title_is_an_error(
    fasta: Callable[[bytes], Path], content: bytes
) -> None:
    with pytest.raises(FastaError, match="before the first '>'"):
        records_of(fasta(content))


def test_blank_first_lines_are_accepted(fasta: Callable[[bytes], Path]) -> None:
    assert records_of(fasta(b"\n\r\n \n>a\nMK\n")) == [("a", "MK", 1)]


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf>a\nMK\n>b\nMT\n",
        b">a\nMK\n\xef\xbb\xbf>b\nMT\n",  # two files put together
        b"\xef\xbb\xbf\n>a\nMK\n>b\nMT\n",
    ],
)
def test_a_byte_order_mark_is_removed_and_counted_and_fuses_no_records(
    fasta: Callable[[bytes], Path], content: bytes
) -> None:
    records = list(read_fasta(fasta(content)))
    assert [(each.id, each.sequence) for each in records] == [("a", "MK"), ("b", "MT")]
    assert sum(each.fixes["byte_order_mark"] for each in records) == 1


def test_blanks_inside_a_sequence_are_removed_and_counted(
    fasta: Callable[[bytes], Path],
) -> None:
    records = list(read_fasta(fasta(b">a some words\nM K T \nA A\n>b\nMK\n")))
    assert records == [
        Record("a", "MKTAA", 1, records[0].fixes),
        Record("b", "MK", 2),
    ]
    assert dict(records[0].fixes) == {"blank": 3}


@pytest.mark.parametrize("title", [b">", b">  ", b">\t"])
def test_a_title_without_an_id_is_an_error_with_its_record_number(
    fasta: Callable[[bytes], Path], title: bytes
) -> None:
    with pytest.raises(FastaError, match=r"in\.fa, record 2: .*without an id") as caught:
        records_of(fasta(b">a\nMK\n" + title + b"\nMK\n"))
    assert caught.value.record == 2


def test_an_id_that_comes_twice_is_an_error_even_with_another_description(
    fasta: Callable[[bytes], Path],
) -> None:
    with pytest.raises(FastaError, match=r"record 3 \('a'\): the id comes a second time"):
        records_of(fasta(b">a one\nMK\n>b\nMK\n>a two\nMT\n"))


@pytest.mark.parametrize(
    ("content", "position"),
    [
        (">a\nMK\n>b\nMé\n".encode(), 10),
        (">a\r\nMK\r\n>b\r\nMé\r\n".encode(), 13),
        (">a\nMK\n>bé\nMK\n".encode("latin-1"), 8),
        (b"\xef\xbb\xbf>a\nM\xff\n", 7),
        (">a\nMK\n".encode("utf-16"), 0),
    ],
)
def test_a_byte_beyond_ascii_is_an_error_with_its_position(
    fasta: Callable[[bytes], Path], content: bytes, position: int
) -> None:
    assert content[position] > 127
    with pytest.raises(FastaError, match=f"at byte position {position},"):
        records_of(fasta(content))


def test_utf_16_is_called_by_its_name(fasta: Callable[[bytes], Path]) -> None:
    with pytest.raises(FastaError, match="UTF-16"):
        records_of(fasta(">a\nMK\n".encode("utf-16")))


def test_a_title_mark_inside_a_line_stays_in_the_sequence(fasta: Callable[[bytes], Path]) -> None:
    assert records_of(fasta(b">a\nMK>b\nMT\n")) == [("a", "MK>bMT", 1)]


@pytest.mark.parametrize("junk", [b"junk", b"\x1f\x8bjunk", b">c\nMK\n"])
def test_damaged_gzip_is_an_error(fasta: Callable[[bytes], Path], junk: bytes) -> None:
    whole = gzip.compress(b">a\nMK\n>b\nMK\n")
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    for damaged in (whole[:-9], whole[:12], bytes(flipped), whole + junk):
        with pytest.raises(FastaError, match="damaged gzip"):
            records_of(fasta(damaged))


def test_gzip_of_several_members_is_read_to_the_end(fasta: Callable[[bytes], Path]) -> None:
    content = gzip.compress(b">a\nMK\n") + gzip.compress(b">b\nMT\n")
    assert records_of(fasta(content)) == [("a", "MK", 1), ("b", "MT", 2)]
