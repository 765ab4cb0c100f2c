"""Rows 25 to 52 of docs/promises.md: what a FASTA file may hold, through the whole extraction.

Every protein record goes through both libraries: what one of them would crash on and the other
would embed as something else is fixed or rejected alike, before either sees it.
"""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from embedders import Embedder, load
from harness.features import FastaError, extract, open_folder, read_manifest, read_rejects
from harness.features.fasta import LONGEST_RECORD

ROOT = Path(__file__).parents[2]
WriteFasta = Callable[..., Path]


class Outcome:
    """What became of the records of one file, the same on both libraries."""

    def __init__(self, folders: list[Path]) -> None:
        self.vectors = [
            {
                each: row
                for block in open_folder(folder).blocks()
                for each, row in zip(block.ids, block.matrix, strict=True)
            }
            for folder in folders
        ]
        self.rejects = {each.id: each.reason for each in read_rejects(folders[0])}
        self.fixes = dict(read_manifest(folders[0]).fixes)
        self.ids = list(self.vectors[0])
        totals = read_manifest(folders[0]).totals
        assert totals["records"] == len(self.ids) + totals["rejected"]
        assert read_rejects(folders[1]) == read_rejects(folders[0])
        assert list(self.vectors[1]) == self.ids
        for name in self.ids:
            assert torch.allclose(self.vectors[0][name], self.vectors[1][name], atol=1e-4), name

    def same(self, one: str, other: str) -> bool:
        """Tell whether two records were embedded as the same sequence."""
        return all(torch.allclose(rows[one], rows[other], atol=1e-5) for rows in self.vectors)


Run = Callable[[bytes], Outcome]


@pytest.fixture(scope="session")
def fair() -> Embedder:
    """The same weights on the other library."""
    return load("mini-candidate", runtime="fair-esm", device="cpu")


@pytest.fixture
def run(tmp_path: Path, fasta: WriteFasta, mini: Embedder, fair: Embedder) -> Run:
    """Return a function that embeds a file's content on both libraries."""

    def both(content: bytes) -> Outcome:
        number = len(list(tmp_path.iterdir()))
        folders = [tmp_path / f"{number}-{name}" for name in ("huggingface", "fair-esm")]
        for embedder, folder in zip((mini, fair), folders, strict=True):
            extract(fasta(content), embedder, folder, progress=False)
        return Outcome(folders)

    return both


@pytest.fixture
def refused(tmp_path: Path, fasta: WriteFasta, mini: Embedder) -> Callable[[bytes], FastaError]:
    """Return a function that gives the error of a file; nothing is written for it."""

    def refuse(content: bytes) -> FastaError:
        with pytest.raises(FastaError) as error:
            extract(fasta(content), mini, tmp_path / "refused", progress=False)
        assert not (tmp_path / "refused").exists()
        assert error.value.path == tmp_path / "in.fa"
        assert str(error.value).startswith(str(tmp_path / "in.fa"))
        assert "\n" not in str(error.value)
        return error.value

    return refuse


Refuse = Callable[[bytes], FastaError]


def test_row_25_an_empty_file(refused: Refuse) -> None:
    for content in (b"", b"\n \n", gzip.compress(b"")):
        assert "no FASTA record" in str(refused(content))


def test_row_26_a_record_without_a_sequence(run: Run) -> None:
    outcome = run(b">a\n>b\nMKV\n>cut")
    assert outcome.ids == ["b"]
    assert list(outcome.rejects) == ["a", "cut"]
    assert all("no sequence" in reason for reason in outcome.rejects.values())


def test_row_27_text_before_the_first_record(refused: Refuse) -> None:
    error = refused(b"; a comment\n>a\nMKV\n")
    assert error.line == 1
    assert "before the first '>'" in str(error)


def test_row_28_a_blank_first_line(run: Run) -> None:
    assert run(b"\n\r\n>a\nMKV\n").ids == ["a"]


def test_row_29_a_byte_order_mark(run: Run) -> None:
    outcome = run(b"\xef\xbb\xbf>a\nMKV\n\xef\xbb\xbf>b\nMKV\n")
    assert outcome.ids == ["a", "b"]
    assert outcome.fixes == {"byte_order_mark": 2}
    assert outcome.same("a", "b")


def test_row_30_a_title_without_an_id(refused: Refuse) -> None:
    error = refused(b">a\nMKV\n>\nMKV\n")
    assert (error.record, error.line) == (2, 3)
    assert "without an id" in str(error)


def test_row_31_a_description_behind_the_id(run: Run) -> None:
    assert run(b">a one two\nMKV\n>b\tthree\nMKV\n").ids == ["a", "b"]


def test_row_32_an_id_twice(refused: Refuse) -> None:
    error = refused(b">a\nMKV\n>b\nMKV\n>a\nMKV\n")
    assert (error.record, error.record_id) == (3, "a")


def test_row_33_an_id_twice_with_other_descriptions(refused: Refuse) -> None:
    error = refused(b">a one\nMKV\n>a two\nMKT\n")
    assert (error.record, error.record_id) == (2, "a")


def test_row_34_lower_case(run: Run) -> None:
    outcome = run(b">low\nmktay\n>up\nMKTAY\n")
    assert outcome.same("low", "up")
    assert outcome.fixes == {"lower_case": 5}


def test_row_35_a_stop_at_the_end(run: Run) -> None:
    outcome = run(b">stop\nMKTAY*\n>none\nMKTAY\n")
    assert outcome.same("stop", "none")
    assert outcome.fixes == {"stop": 1}


def test_row_36_a_stop_inside(run: Run) -> None:
    outcome = run(b">stop\nMKT*AY\n>b\nMKV\n")
    assert outcome.ids == ["b"]
    assert "stop '*' inside the sequence at position 4" in outcome.rejects["stop"]


def test_row_37_j(run: Run) -> None:
    outcome = run(b">j\nMKTJAY\n>x\nMKTXAY\n")
    assert outcome.same("j", "x")
    assert outcome.fixes == {"j_to_x": 1}


def test_row_38_digits_and_other_ascii(run: Run) -> None:
    outcome = run(b">digit\nMK1\n>what\nMK?V\n>bar\nM|K\n>good\nMKV\n")
    assert outcome.ids == ["good"]
    assert "'1' at position 3" in outcome.rejects["digit"]
    assert "'?' at position 3" in outcome.rejects["what"]
    assert "'|' at position 2" in outcome.rejects["bar"]


def test_row_39_ambiguous_and_rare_residues_are_kept(run: Run) -> None:
    outcome = run(b">rare\nMKBZXUOV\n>x\nMKXXXXXV\n>common\nMKAAAAAV\n")
    assert outcome.ids == ["rare", "x", "common"]
    assert outcome.fixes == {}
    assert not outcome.same("rare", "x")
    assert not outcome.same("rare", "common")


def test_row_40_gaps(run: Run) -> None:
    outcome = run(b">gaps\nM-K.TAY-\n>none\nMKTAY\n")
    assert outcome.same("gaps", "none")
    assert outcome.fixes == {"gap": 3}


def test_row_41_blanks_inside(run: Run) -> None:
    outcome = run(b">blanks\nMK TA\tY \n>none\nMKTAY\n")
    assert outcome.same("blanks", "none")
    assert outcome.fixes == {"blank": 2}


@pytest.mark.parametrize("token", ["<mask>", "<cls>", "<pad>", "<eos>", "<unk>", "<null_1>"])
def test_row_42_a_special_token_written_out(run: Run, token: str) -> None:
    outcome = run(f">token\nMK{token}V\n>b\nMKV\n".encode())
    assert outcome.ids == ["b"]
    assert f"special token {token} written out at position 3" in outcome.rejects["token"]


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_row_43_letters_outside_ascii(refused: Refuse, encoding: str) -> None:
    for text, byte, line in ((">a\nMKé\n", 5, 2), (">é\nMK\n", 1, 1)):
        error = refused(text.encode(encoding))
        assert (error.byte, error.line) == (byte, line)
        assert "not ASCII" in str(error)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_row_44_utf_16(refused: Refuse, encoding: str) -> None:
    content = ">a\nMKV\n".encode(encoding)
    content = content if encoding == "utf-16" else b"\xff\xfe" + content
    assert "UTF-16" in str(refused(content))


def test_row_45_a_nul_byte(run: Run) -> None:
    outcome = run(b">seq\nMK\0V\n>i\0d\nMKV\n>b\nMKV\n")
    assert outcome.ids == ["b"]
    assert "'\\x00' at position 3" in outcome.rejects["seq"]
    assert "NUL byte in the id" in outcome.rejects["i\0d"]


@pytest.mark.parametrize("end", [b"\r\n", b"\r"])
def test_row_46_line_ends(run: Run, end: bytes) -> None:
    content = b">a x\nMKT\nAY\n\n>b\nMKV\n"
    one, other = run(content), run(content.replace(b"\n", end))
    assert one.ids == other.ids == ["a", "b"]
    assert one.fixes == other.fixes == {}
    assert all(torch.equal(one.vectors[0][name], other.vectors[0][name]) for name in one.ids)


def test_row_47_a_title_mark_inside_a_line(run: Run) -> None:
    outcome = run(b">a\nMKV>b\nMKT\n>c\nMKV\n")
    assert outcome.ids == ["c"]
    assert "'>' inside a line" in outcome.rejects["a"]


@pytest.mark.parametrize("policy", ["truncate", "legacy"])
def test_row_48_a_protein_longer_than_the_window(
    tmp_path: Path, fasta: WriteFasta, policy: str
) -> None:
    """35,000 residues in full take a CPU minutes under ``legacy``: 3,000 stand for them there."""
    length = 35_000 if policy == "truncate" else 3_000
    long = ("MKTAYIAKQRQISFVKSHFSRQ" * 1600)[:length]
    path = fasta(f">long\n{long}\n>start\n{long[:1024]}\n".encode())
    folders = []
    for runtime in ("huggingface", "fair-esm"):
        embedder = load("mini-candidate", runtime=runtime, truncation=policy, device="cpu")
        folders.append(tmp_path / runtime)
        extract(path, embedder, folders[-1], progress=False)
        kept = read_manifest(folders[-1]).embedder
        assert kept is not None
        assert (kept.truncation, kept.window_residues) == (policy, 1024)
    outcome = Outcome(folders)
    assert outcome.same("long", "start") == (policy == "truncate")


PEAK = """
import sys
from pathlib import Path
from harness.features import FastaError, read_fasta, survey_fasta
from harness.measure.footprint import host_peak_rss_bytes
before = host_peak_rss_bytes()
try:
    survey_fasta(Path(sys.argv[1]))
except FastaError as error:
    print(error)
print(host_peak_rss_bytes() - before)
"""


def refused_within(path: Path, limit_bytes: int) -> str:
    """Survey a file in a process of its own, and return its error if memory stayed in bounds."""
    command = [sys.executable, "-c", PEAK, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    *lines, grown = done.stdout.splitlines()
    assert int(grown) < limit_bytes, (lines, grown)
    return "\n".join(lines)


def test_row_49_one_endless_line(tmp_path: Path) -> None:
    """The line has 1 GB, in a sparse file: its NUL bytes are no residues, but that comes later."""
    path = tmp_path / "in.fa"
    with path.open("wb") as file:
        file.write(b">a\n" + b"M" * 100)
        file.truncate(10**9)
    error = refused_within(path, 8 * LONGEST_RECORD)
    assert f"{path}, record 1 ('a'), line 2" in error
    assert "16,777,216" in error


def test_row_50_gzip_by_its_first_bytes(run: Run) -> None:
    assert run(gzip.compress(b">a\nMKV\n")).ids == ["a"]  # the file is called in.fa


def test_row_51_truncated_gzip_and_junk_behind_it(refused: Refuse) -> None:
    whole = gzip.compress(b"".join(b">s%d\nMKTAYIAKQR\n" % n for n in range(500)))
    for content in (whole[:-4], whole[: len(whole) // 2], whole + b"junk"):
        assert "damaged gzip" in str(refused(content))


def test_row_52_a_gzip_bomb(tmp_path: Path) -> None:
    line = b"A" * 60 + b"\n"
    bombs = {
        "one record": [b">a\n", *([line * 17_000] * 300)],
        "many records": [b">%d\n" % n + b"A" * 10**6 + b"\n" for n in range(300)],
    }
    for name, parts in bombs.items():
        path = tmp_path / f"{name}.fa.gz"
        with gzip.open(path, "wb") as file:
            file.writelines(parts)
        assert path.stat().st_size < 1_500_000  # for some 300 MB
        assert str(path) in refused_within(path, 8 * LONGEST_RECORD)
