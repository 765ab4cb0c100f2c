from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import harness.features.folders
from embedders.contract import Modality, Truncation
from embedders.errors import InputError
from harness.features import (
    FastaError,
    FolderError,
    Kind,
    ManifestError,
    Record,
    Reject,
    Shard,
    StrictRejection,
    extract,
    open_folder,
    read_rejects,
    write_shard,
)

Vector = Callable[[str], list[float]]
MakeEmbedder = Callable[..., Any]
# every fault that rejects one record, between two good ones
MIXED = b">a\nMKT\n>b\n>c\nMK1\n>d\nMK>e\n>f\nMZK\n>g\nmka\n>h\0\nMK\n>i x\nWWWW\n"


@pytest.fixture
def fasta(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(content: bytes) -> Path:
        path = tmp_path / "in.fa"
        path.write_bytes(content)
        return path

    return write


@settings(max_examples=25, deadline=None)
@given(
    sequences=st.lists(
        st.text("ACDEFGHIKLMNPQRSTVWY", min_size=1, max_size=80), min_size=1, max_size=15
    ),
    shard_size=st.integers(1, 12),
    tokens_per_batch=st.integers(1, 300),
)
def test_rows_stand_in_input_order_whatever_the_shards_and_batches(
    tmp_path_factory: pytest.TempPathFactory,
    make_embedder: MakeEmbedder,
    vector_of: Vector,
    sequences: list[str],
    shard_size: int,
    tokens_per_batch: int,
) -> None:
    folder = tmp_path_factory.mktemp("extract")
    path = folder / "in.fa"
    path.write_text("".join(f">s{i}\n{each}\n" for i, each in enumerate(sequences)))
    embedder = make_embedder()
    summary = extract(
        path,
        embedder,
        folder / "out",
        tokens_per_batch=tokens_per_batch,
        shard_size=shard_size,
        progress=False,
    )
    blocks = list(open_folder(folder / "out").blocks())
    ids = [each for block in blocks for each in block.ids]
    vectors = [row for block in blocks for row in block.matrix.tolist()]
    assert ids == [f"s{i}" for i in range(len(sequences))]
    assert vectors == [vector_of(each) for each in sequences]
    assert [len(block.ids) for block in blocks[:-1]] == [shard_size] * (len(blocks) - 1)
    assert summary.shards == len(blocks) == -(-len(sequences) // shard_size)
    assert summary.residues == sum(map(len, sequences))
    for lengths in embedder.batches:
        entering = [min(length, 50) + 2 for length in lengths]
        assert len(lengths) == 1 or len(lengths) * max(entering) <= tokens_per_batch


@pytest.mark.parametrize("shard_size", [1, 3, 100])
def test_records_in_are_embedded_plus_rejected_and_both_are_listed(
    tmp_path: Path,
    fasta: Callable[[bytes], Path],
    make_embedder: MakeEmbedder,
    vector_of: Vector,
    shard_size: int,
) -> None:
    summary = extract(
        fasta(MIXED), make_embedder(), tmp_path / "out", shard_size=shard_size, progress=False
    )
    folder = open_folder(tmp_path / "out")
    vectors = {
        each: row
        for block in folder.blocks()
        for each, row in zip(block.ids, block.matrix.tolist(), strict=True)
    }
    assert vectors == {"a": vector_of("MKT"), "g": vector_of("MKA"), "i": vector_of("WWWW")}
    rejects = read_rejects(tmp_path / "out")
    assert [(each.id, each.position) for each in rejects] == [
        ("b", 2),
        ("c", 3),
        ("d", 4),
        ("f", 5),
        ("h\0", 7),
    ]
    assert [each.reason.split()[0] for each in rejects] == ["no", "not", "a", "its", "a"]
    assert (summary.records, summary.embedded, summary.rejected) == (8, 3, 5)
    assert summary.fixes == {"lower_case": 3}
    assert "8 records = 3 embedded + 5 rejected" in summary.sentence()


def test_the_manifest_records_what_was_read_and_by_what(
    tmp_path: Path, make_embedder: MakeEmbedder
) -> None:
    content = gzip.compress(MIXED)
    (tmp_path / "in.fa.gz").write_bytes(content)
    embedder = make_embedder()
    extract(tmp_path / "in.fa.gz", embedder, tmp_path / "out", shard_size=5, progress=False)
    document = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert document["sources"] == [
        {"name": "in.fa.gz", "sha256": hashlib.sha256(content).hexdigest(), "records": 8}
    ]
    assert document["shards"] == [
        {
            "file": name,
            "rows": rows,
            "sha256": hashlib.sha256((tmp_path / "out" / name).read_bytes()).hexdigest(),
        }
        for name, rows in (("shard-00000.pt", 1), ("shard-00001.pt", 2))
    ]
    assert document["embedder"]["name"] == "toy"
    assert document["fixes"] == {"lower_case": 3}
    assert (document["kind"], document["width"], document["complete"]) == ("protein", 3, True)
    manifest = open_folder(tmp_path / "out").manifest
    assert manifest is not None
    assert manifest.embedder == embedder.spec


def test_an_overflow_in_float16_is_told_to_use_bfloat16(
    tmp_path: Path, fasta: Callable[[bytes], Path], make_embedder: MakeEmbedder
) -> None:
    extract(fasta(b">z\nZ\n"), make_embedder(dtype="float16"), tmp_path / "out", progress=False)
    assert read_rejects(tmp_path / "out") == (
        Reject("z", 1, "its embedding holds NaN or infinity; float16 overflows: use bfloat16"),
    )
    assert open_folder(tmp_path / "out").ids() == ()


def test_strict_stops_at_the_first_refused_record_before_anything_is_written(
    tmp_path: Path, fasta: Callable[[bytes], Path], make_embedder: MakeEmbedder
) -> None:
    with pytest.raises(StrictRejection, match=r"record 2 \('b'\): no sequence"):
        extract(fasta(MIXED), make_embedder(), tmp_path / "out", strict=True, progress=False)
    assert not (tmp_path / "out").exists()
    with pytest.raises(StrictRejection, match=r"record 2 \('y'\): its embedding"):
        extract(
            fasta(b">x\nMK\n>y\nZ\n"),
            make_embedder(),
            tmp_path / "out",
            strict=True,
            progress=False,
        )


@pytest.mark.parametrize("tail", [b">a\nMK\n", b">\nMK\n", b">q\n\xc3\xa9\n"])
def test_a_fault_in_the_last_record_stops_the_run_before_anything_is_written(
    tmp_path: Path, fasta: Callable[[bytes], Path], make_embedder: MakeEmbedder, tail: bytes
) -> None:
    with pytest.raises(FastaError):
        extract(
            fasta(MIXED + tail), make_embedder(), tmp_path / "out", shard_size=1, progress=False
        )
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_anything_is_refused_and_left_as_it_was(
    tmp_path: Path, fasta: Callable[[bytes], Path], make_embedder: MakeEmbedder
) -> None:
    extract(fasta(b">a\nMK\n"), make_embedder("baseline"), tmp_path / "out", progress=False)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    with pytest.raises(FolderError, match="already holds"):
        extract(fasta(b">a\nMT\n"), make_embedder("candidate"), tmp_path / "out", progress=False)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    with pytest.raises(FolderError, match="cannot be made"):
        extract(fasta(b">a\nMT\n"), make_embedder(), tmp_path / "in.fa", progress=False)


def test_a_run_that_breaks_off_leaves_a_folder_that_is_not_read_as_whole(
    tmp_path: Path,
    fasta: Callable[[bytes], Path],
    make_embedder: MakeEmbedder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail_on_the_third(path: Path, shard: Shard) -> None:
        if path.name == "shard-00002.pt":
            raise OSError(28, "No space left on device")
        write_shard(path, shard)

    monkeypatch.setattr(harness.features.folders, "write_shard", fail_on_the_third)
    with pytest.raises(OSError, match="No space left"):
        extract(
            fasta(b">a\nMK\n>b\nMK\n>c\nMK\n"),
            make_embedder(),
            tmp_path / "out",
            shard_size=1,
            progress=False,
        )
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "manifest.json",
        "shard-00000.pt",
        "shard-00001.pt",
    }
    with pytest.raises(ManifestError, match="did not finish"):
        open_folder(tmp_path / "out")


def test_a_nucleotide_embedder_writes_the_nucleotide_form(
    tmp_path: Path, fasta: Callable[[bytes], Path], make_embedder: MakeEmbedder
) -> None:
    embedder = make_embedder(modality=Modality.NUCLEOTIDE)
    extract(fasta(b">a\nACGT\n"), embedder, tmp_path / "out", progress=False)
    assert open_folder(tmp_path / "out").kind is Kind.NUCLEOTIDE
    content = torch.load(tmp_path / "out" / "shard-00000.pt", weights_only=True)
    assert list(content) == ["nucleotide", "data"]


def test_the_legacy_policy_counts_whole_sequences_against_the_budget(
    tmp_path: Path, fasta: Callable[[bytes], Path], make_embedder: MakeEmbedder
) -> None:
    content = b">a\n" + b"M" * 200 + b"\n>b\n" + b"M" * 200 + b"\n"
    for truncation, batches in (
        (Truncation.TRUNCATE, [[200, 200]]),
        (Truncation.LEGACY, [[200]] * 2),
    ):
        embedder = make_embedder(truncation=truncation)  # its window is 50 residues
        extract(
            fasta(content),
            embedder,
            tmp_path / truncation,
            tokens_per_batch=300,
            progress=False,
        )
        assert embedder.batches == batches


def test_a_special_token_written_out_is_rejected_in_the_words_of_the_cleaning_policy(
    tmp_path: Path, fasta: Callable[[bytes], Path], make_embedder: MakeEmbedder
) -> None:
    extract(fasta(b">a\n<mask>MK\n"), make_embedder(), tmp_path / "out", progress=False)
    assert read_rejects(tmp_path / "out") == (Reject("a", 1, "not a letter"),)


@pytest.mark.parametrize("option", ["shard_size", "tokens_per_batch"])
def test_a_size_below_one_is_refused(
    tmp_path: Path, fasta: Callable[[bytes], Path], make_embedder: MakeEmbedder, option: str
) -> None:
    options: dict[str, Any] = {option: 0}
    with pytest.raises(InputError, match=f"{option} must be at least 1, not 0"):
        extract(fasta(b">a\nMK\n"), make_embedder(), tmp_path / "out", progress=False, **options)


def test_an_id_never_becomes_part_of_a_path(
    tmp_path: Path, fasta: Callable[[bytes], Path], make_embedder: MakeEmbedder
) -> None:
    path = fasta(b">../../x\nMK\n>/x\nMK\n>a,\"b'\n1\n")
    extract(path, make_embedder(), tmp_path / "out", shard_size=1, progress=False)
    assert {each.name for each in (tmp_path / "out").iterdir()} == {
        "manifest.json",
        "rejects.csv",
        "shard-00000.pt",
        "shard-00001.pt",
    }
    assert open_folder(tmp_path / "out").ids() == ("../../x", "/x")
    assert [each.id for each in read_rejects(tmp_path / "out")] == ["a,\"b'"]


def test_a_file_that_shrinks_during_the_run_is_an_error(
    tmp_path: Path,
    fasta: Callable[[bytes], Path],
    make_embedder: MakeEmbedder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        harness.features.extraction, "read_fasta", lambda _: iter([Record("a", "MK", 1)])
    )
    with pytest.raises(FastaError, match="had 2 records at first and 1 later"):
        extract(fasta(b">a\nMK\n>b\nMK\n"), make_embedder(), tmp_path / "out", progress=False)
    with pytest.raises(ManifestError):
        open_folder(tmp_path / "out")


def test_rejects_that_were_edited_into_nonsense_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="cannot be read"):
        read_rejects(tmp_path)
    for text in ("", "id,reason\n", "id,position,reason\na,x,y\n", "id,position,reason\na,1\n"):
        (tmp_path / "rejects.csv").write_text(text)
        with pytest.raises(FolderError, match="malformed"):
            read_rejects(tmp_path)
