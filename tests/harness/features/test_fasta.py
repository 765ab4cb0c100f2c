from __future__ import annotations

import gzip
import hashlib
import re
import subprocess
import sys
import zlib
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import TypeVar

import pytest
from Bio import SeqIO
from hypothesis import example, given
from hypothesis import strategies as st

import harness.features.fasta
import harness.features.text
from harness.features import FastaError, Record, read_fasta, survey_fasta

IDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)
RECORDS = st.lists(
    st.tuples(IDS, st.text("ACDEFGHIKLMNPQRSTVWY", max_size=130)),
    min_size=1,
    max_size=8,
    unique_by=lambda record: record[0],
)


ROOT = Path(__file__).parents[3]
T = TypeVar("T")
LINE_ENDS = ("\n", "\r\n", "\r")
# pieces that mean something to the reader, and some that do not
PIECES = st.lists(
    st.sampled_from(
        [
            *(
                b">",
                b"\n>",
                b">a",
                b"id",
                b"MK",
                b"M",
                b"*",
                b"-",
                b"\n",
                b"\r",
                b"\r\n",
                b" ",
                b"\t",
            ),
            *(b"\x0b", b"\x1c", b"\0", b"\xef\xbb\xbf", b"\xef\xbb\xbf>", b"\xff\xfe", b"\xc3\xa9"),
        ]
    ),
    max_size=24,
).map(b"".join)


ANY_BYTES = st.binary(max_size=40).filter(lambda content: not content.startswith(b"\x1f\x8b"))


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


@pytest.mark.parametrize("content", [b"", b"\n\n \n", gzip.compress(b"", mtime=0)])
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
    with pytest.raises(FastaError, match=r"in\.fa, record 2, line 3: .*without an id") as caught:
        records_of(fasta(b">a\nMK\n" + title + b"\nMK\n"))
    assert caught.value.record == 2


def test_an_id_that_comes_twice_is_an_error_even_with_another_description(
    fasta: Callable[[bytes], Path],
) -> None:
    path = fasta(b">a one\nMK\n>b\nMK\n>a two\nMT\n")
    message = r"record 3 \('a'\), line 5: the id comes a second time, first in record 1"
    with pytest.raises(FastaError, match=message):
        survey_fasta(path)
    assert [record.id for record in read_fasta(path)] == ["a", "b", "a"]  # compares no ids


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
    with pytest.raises(FastaError, match=f"at byte position {position};"):
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


@pytest.mark.parametrize(
    ("content", "record", "record_id", "line", "byte"),
    [
        (b"\n M\n>a\nMK\n", None, None, 2, 2),
        (b">a\nMK\n>\nMK\n", 2, None, 3, 6),
        (b">a\nMK\n\nMK\n>a\n", 2, "a", 5, 10),
        (b">a\nMK\n>b c\nMK\nM\xff\n", 2, "b", 5, 15),
        (b">a\nMK\n>b\xff\nMK\n", 2, "b\xff", 3, 8),
        (b"\xef\xbb\xbf>a\nMK\n>a\nM\n", 2, "a", 3, 9),
        (b">a\nMK\n\xef\xbb\xbf>a\nM\n", 2, "a", 3, 6),
    ],
)
@pytest.mark.parametrize("line_end", LINE_ENDS)
@pytest.mark.parametrize("compressed", [False, True])
def test_an_error_tells_record_id_line_and_byte_in_the_unpacked_text(
    fasta: Callable[[bytes], Path],
    content: bytes,
    record: int | None,
    record_id: str | None,
    line: int,
    byte: int,
    line_end: str,
    compressed: bool,
) -> None:
    byte += (len(line_end) - 1) * (line - 1)
    content = content.replace(b"\n", line_end.encode())
    path = fasta(gzip.compress(content) if compressed else content)
    with pytest.raises(FastaError) as caught:
        survey_fasta(path)
    error = caught.value
    assert (error.path, error.record, error.record_id) == (path, record, record_id)
    assert (error.line, error.byte) == (line, byte)
    assert f", line {line}: " in str(error)
    assert f", at byte position {byte}; " in str(error)


@pytest.mark.parametrize(
    ("good", "record", "record_id", "line"),
    [(b">b\nMK\n", 2, "b", 5), (b">b\nMK", 2, "b", 4), (b">b", 2, None, 3), (b"\n", 1, "a", 4)],
)
def test_damaged_gzip_tells_how_far_the_text_was_good(
    fasta: Callable[[bytes], Path], good: bytes, record: int, record_id: str | None, line: int
) -> None:
    good = b">a\nMK\n" + good
    with pytest.raises(FastaError, match=f"damaged gzip after {record - 1} whole rec") as caught:
        records_of(fasta(gzip.compress(good) + b"junk"))
    error = caught.value
    assert (error.record, error.record_id) == (record, record_id)  # an id cut short is none
    assert (error.line, error.byte) == (line, len(good))


def test_a_message_is_one_short_line_whatever_the_id_and_the_path(tmp_path: Path) -> None:
    path = tmp_path / "two\nlines.fa"
    title = b">\x1b[31m" + b"a" * 100_000 + b"\n"
    path.write_bytes(2 * title)
    with pytest.raises(FastaError) as caught:
        survey_fasta(path)
    assert caught.value.record_id == title[1:-1].decode()
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400 + len(str(path))
    assert r"record 2 ('\x1b[31maaa" in str(caught.value)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("later", [b">a\nMK\n>b\nMT\n>c\nM\n", b">a\nMK\n", b">a\nMK\n>b\nMV\n"])
def test_a_file_that_changed_since_its_survey_is_an_error_after_its_last_record(
    fasta: Callable[[bytes], Path], pack: Callable[[bytes], bytes], later: bytes
) -> None:
    path = fasta(pack(b">a\nMK\n>b\nMT\n"))
    survey = survey_fasta(path)
    path.write_bytes(pack(later))
    records = read_fasta(path, expected=survey)
    seen = list(islice(records, later.count(b">")))
    assert [record.id for record in seen] == re.findall(r">(.)", later.decode())
    with pytest.raises(FastaError, match=r"changed during the run.*; leave the file alone"):
        next(records)


@pytest.mark.parametrize(
    "pack", [bytes, gzip.compress, lambda content: gzip.compress(content) + b"\0"]
)
def test_a_file_is_the_one_that_was_surveyed(
    fasta: Callable[[bytes], Path], pack: Callable[[bytes], bytes]
) -> None:
    path = fasta(pack(b"".join(b">%d\nMKTAY\n" % number for number in range(50_000))))
    survey = survey_fasta(path)
    assert survey.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert sum(1 for _ in read_fasta(path, expected=survey)) == survey.records == 50_000


@pytest.mark.parametrize("line_end", LINE_ENDS)
@pytest.mark.parametrize("read_bytes", [1, 2**16])
def test_a_record_may_have_so_many_characters_line_ends_included_and_none_more(
    fasta: Callable[[bytes], Path],
    monkeypatch: pytest.MonkeyPatch,
    line_end: str,
    read_bytes: int,
) -> None:
    monkeypatch.setattr(harness.features.text, "READ_BYTES", read_bytes)
    before, whole = b">b\n", f">a x{line_end}MKT{line_end}AY{line_end}".encode()
    content = before + whole + b">c\nMK\n"
    path = fasta(content)
    monkeypatch.setattr(harness.features.fasta, "LONGEST_RECORD", len(whole))
    assert records_of(path) == [("b", "", 1), ("a", "MKTAY", 2), ("c", "MK", 3)]
    for longest in range(len(">a x") + 1, len(whole)):  # every place, also between CR and LF
        monkeypatch.setattr(harness.features.fasta, "LONGEST_RECORD", longest)
        with pytest.raises(
            FastaError, match=f"more than {longest} characters in one rec"
        ) as caught:
            records_of(path)
        error = caught.value
        assert (error.record, error.record_id) == (2, "a")
        assert error.byte == len(before) + longest
        assert error.line == len(content[: error.byte + 1].splitlines())


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b">" + b"a" * 30, "in one line"),
        (b">a\nMK\n\n" + b"\n" * 30, "in one record"),
        (b"\n" * 30 + b">a\nMK\n", "in blank lines before"),
        (b" " * 30 + b"\n>a\nMK\n", "in one line"),
    ],
)
def test_what_is_too_long_is_named(
    fasta: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch, content: bytes, problem: str
) -> None:
    monkeypatch.setattr(harness.features.fasta, "LONGEST_RECORD", 20)
    with pytest.raises(FastaError, match=f"more than 20 characters {problem}"):
        records_of(fasta(content))


def test_text_and_ratio_of_gzip_are_bounded_and_plain_text_is_not(
    fasta: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"".join(b">%d\n%s\n" % (number, b"M" * 1000) for number in range(1000))
    packed = gzip.compress(content)
    assert len(content) / len(packed) > 100
    assert len(records_of(fasta(packed))) == 1000  # a small file may be packed as it likes
    for name, limit, message in (
        ("RATIO_FREE_BYTES", 2**16, "more than 100 times its size"),
        ("LARGEST_TEXT_BYTES", len(content) - 1, f"more than {len(content) - 1:,} bytes"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(harness.features.text, "LARGEST_RATIO", 100)
            patch.setattr(harness.features.text, name, limit)
            with pytest.raises(FastaError, match=message) as caught:
                records_of(fasta(packed))
            assert caught.value.record is not None
            assert len(records_of(fasta(content))) == 1000


# prints by how much the peak grew while each file was surveyed, and the error, if any
SURVEYS = """
import sys
from pathlib import Path
from harness.features import FastaError, survey_fasta

def peak_bytes():
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024

before = peak_bytes()
for path in map(Path, sys.argv[1:]):
    try:
        found = survey_fasta(path)
    except FastaError as error:
        found = error
    print(peak_bytes() - before, found)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc/self/status")
def test_memory_is_bounded_for_many_records_endless_lines_and_gzip_bombs(tmp_path: Path) -> None:
    many, line, bomb, wide_bomb = (tmp_path / name for name in ("many", "line", "bomb", "wide"))
    # a set of so many ids, as text, takes some 30 MB
    many.write_text("".join(f">record-{number}\nM\n" for number in range(300_000)))
    with line.open("wb") as file:
        file.write(b">a x\nMK")
        file.truncate(2**30)  # a sparse file: NUL bytes that take no disk
    packed = zlib.compressobj(wbits=31)
    block = b"M" * 2**20
    with bomb.open("wb") as file:
        for number in range(300):
            file.write(packed.compress(b">%d\n%s\n" % (number, block)))
        file.write(packed.flush())
    packed = zlib.compressobj(wbits=31)
    with wide_bomb.open("wb") as file:
        file.write(packed.compress(b">a x\n"))
        for _ in range(64):
            file.write(packed.compress(block))
        file.write(packed.flush())
    assert bomb.stat().st_size < 10**6
    assert wide_bomb.stat().st_size < 10**5
    command = [sys.executable, "-c", SURVEYS, *map(str, (many, line, bomb, wide_bomb))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    grown, found = zip(*(row.split(" ", 1) for row in done.stdout.splitlines()), strict=True)
    assert "records=300000" in found[0]
    assert int(grown[0]) < 15e6
    assert f"{line}, record 1 ('a'), line 2: more than 16,777,216 characters" in found[1]
    assert f"{bomb}, record " in found[2]
    assert "more than 500 times its size" in found[2]
    assert f"{wide_bomb}, record 1 ('a'), line 2: more than 16,777,216 characters" in found[3]
    assert int(grown[3]) < 150e6


@given(
    content=PIECES | ANY_BYTES,
    read_bytes=st.sampled_from([1, 2, 5, 2**16]),
    compressed=st.booleans(),
)
@example(content=b"\xef\xbb\xbf\n\xef\xbb\xbf>a\r", read_bytes=1, compressed=False)
@example(content=b">a\nMK\xef\xbb\xbf>b\nMT\n", read_bytes=2, compressed=True)
@example(content=b">a\nM K\x1c \nM\tK\n", read_bytes=5, compressed=False)
@example(content=b"\xef\xbb\xbf\xef\xbb\xbf>>", read_bytes=1, compressed=False)
def test_whatever_the_bytes_records_come_out_or_a_fasta_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, read_bytes: int, compressed: bool
) -> None:
    path = tmp_path_factory.mktemp("fasta") / "in.fa"
    path.write_bytes(gzip.compress(content) if compressed else content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(harness.features.text, "READ_BYTES", read_bytes)
        found = outcome(lambda: records_of(path))
    if isinstance(found, FastaError):
        assert splitted(content) is None
        assert found.byte is None or 0 <= found.byte < len(content)
        assert found.line is None or 1 <= found.line <= len(content.splitlines())
    else:
        assert found == splitted(content)


def outcome(read: Callable[[], T]) -> T | FastaError:
    try:
        return read()
    except FastaError as error:
        return error


def splitted(content: bytes) -> list[tuple[str, str, int]] | None:
    """Read FASTA in the plainest way, whole and line by line; None if it is not FASTA."""
    lines = re.split("\r\n|\r|\n", content.decode("latin-1"))
    records: list[tuple[str, str, int]] = []
    for place, line in enumerate(lines):
        marked = line[3:4] == ">" or place == 0
        text = line.removeprefix("\xef\xbb\xbf") if marked else line
        if text.startswith(">"):
            records.append(((text[1:].split() or [""])[0], "", len(records) + 1))
        elif records:
            name, sequence, number = records[-1]
            records[-1] = (name, sequence + text.rstrip().replace(" ", ""), number)
        elif text.strip():
            return None
        if not text.isascii():
            return None
    return records if records and all(name for name, _, _ in records) else None


@given(data=st.data(), records=RECORDS, compressed=st.booleans())
def test_a_file_with_wrong_bytes_in_it_gives_records_or_a_fasta_error(
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
    records: list[tuple[str, str]],
    compressed: bool,
) -> None:
    text = "".join(f">{record_id} x\n{sequence}\n" for record_id, sequence in records).encode()
    content = bytearray(gzip.compress(text, mtime=0) if compressed else text)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content)))
        content[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    path = tmp_path_factory.mktemp("fasta") / "in.fa"
    path.write_bytes(content)
    survey = outcome(lambda: survey_fasta(path))
    if isinstance(survey, FastaError):
        assert str(survey).startswith(f"{path}")
        assert str(survey).isprintable()
    else:
        found = [record.id for record in read_fasta(path, expected=survey)]
        assert len(set(found)) == len(found) == survey.records


@given(
    records=RECORDS,
    line_end=st.sampled_from(LINE_ENDS),
    width=st.integers(1, 30),
    blanks=st.sampled_from(["", " ", "  \t", "\n\n"]),
)
def test_records_are_those_that_biopython_reads(
    tmp_path_factory: pytest.TempPathFactory,
    records: list[tuple[str, str]],
    line_end: str,
    width: int,
    blanks: str,
) -> None:
    text = ""
    for record_id, sequence in records:
        lines = [sequence[start : start + width] for start in range(0, len(sequence), width)]
        text += "".join(f"{line}{blanks}\n" for line in [f">{record_id} some words", *lines])
    path = tmp_path_factory.mktemp("fasta") / "in.fa"
    path.write_bytes(text.replace("\n", line_end).encode())
    with path.open(encoding="ascii") as file:  # which makes every line end an LF
        expected = [(each.id, str(each.seq)) for each in SeqIO.parse(file, "fasta")]
    assert [(record.id, record.sequence) for record in read_fasta(path)] == expected
