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

import harness.features.store
from embedders.contract import Cleaned, Modality, Truncation
from embedders.errors import InputError
from harness.features import (
    FastaError,
    FolderError,
    Kind,
    ManifestError,
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
    assert [each["shard"] for each in document["windows"]] == [
        {
            "file": name,
            "rows": rows,
            "sha256": hashlib.sha256((tmp_path / "out" / name).read_bytes()).hexdigest(),
        }
        for name, rows in (("shard-00000.pt", 1), ("shard-00001.pt", 2))
    ]
    assert [each["rejects"]["rows"] for each in document["windows"]] == [4, 1]
    assert document["embedder"]["name"] == "toy"
    assert [each["fixes"] for each in document["windows"]] == [{}, {"lower_case": 3}]
    assert document["totals"] == {"records": 8, "embedded": 3, "rejected": 5, "residues": 10}
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
    with pytest.raises(StrictRejection, match=r"in\.fa, record 2 \('b'\): no sequence"):
        extract(fasta(MIXED), make_embedder(), tmp_path / "out", strict=True, progress=False)
    assert not (tmp_path / "out").exists()
    with pytest.raises(StrictRejection, match=r"in\.fa, record 2 \('y'\): its embedding"):
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


def content_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_folder_of_another_run_is_refused_by_what_differs_and_left_as_it_was(
    tmp_path: Path, fasta: Callable[[bytes], Path], make_embedder: MakeEmbedder
) -> None:
    extract(fasta(b">a\nMK\n"), make_embedder("baseline"), tmp_path / "out", progress=False)
    before = content_of(tmp_path / "out")
    with pytest.raises(FolderError, match="embedder is 'baseline' there and 'candidate' here"):
        extract(fasta(b">a\nMK\n"), make_embedder("candidate"), tmp_path / "out", progress=False)
    with pytest.raises(FolderError, match="another run: input is"):
        extract(fasta(b">a\nMT\n"), make_embedder("baseline"), tmp_path / "out", progress=False)
    with pytest.raises(FolderError, match="dtype is 'float32' there and 'bfloat16' here"):
        extract(
            fasta(b">a\nMK\n"),
            make_embedder("baseline", dtype="bfloat16"),
            tmp_path / "out",
            progress=False,
        )
    assert content_of(tmp_path / "out") == before


def test_a_folder_that_holds_something_else_is_refused_and_left_as_it_was(
    tmp_path: Path, fasta: Callable[[bytes], Path], make_embedder: MakeEmbedder
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    with pytest.raises(FolderError, match=r"already holds 'thesis\.tex'"):
        extract(fasta(b">a\nMK\n"), make_embedder(), tmp_path / "out", progress=False)
    assert content_of(tmp_path / "out") == {"thesis.tex": b"years of work"}
    with pytest.raises(FolderError, match="cannot be written to as a folder"):
        extract(fasta(b">a\nMT\n"), make_embedder(), tmp_path / "in.fa", progress=False)


def test_a_run_that_breaks_off_is_not_read_as_whole_and_is_resumed_to_the_same_bytes(
    tmp_path: Path,
    fasta: Callable[[bytes], Path],
    make_embedder: MakeEmbedder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail_on_the_third(path: Path, shard: Shard) -> None:
        if path.name == "shard-00002.pt":
            raise OSError(28, "No space left on device")
        write_shard(path, shard)

    path = fasta(b">a\nMK\n>b\n1\n>c\nMKK\n>d\nmk\n>e\nMK\n>f\n")
    with monkeypatch.context() as patched:
        patched.setattr(harness.features.store, "write_shard", fail_on_the_third)
        with pytest.raises(FolderError, match=r"No space left on device.*2 shards .* are safe"):
            extract(path, make_embedder(), tmp_path / "out", shard_size=2, progress=False)
    with pytest.raises(ManifestError, match="has not finished"):
        open_folder(tmp_path / "out")
    embedder = make_embedder()
    summary = extract(path, embedder, tmp_path / "out", shard_size=2, progress=False)
    assert embedder.batches == [[2]]
    assert (summary.records, summary.embedded, summary.resumed) == (6, 4, 4)
    assert "; 4 of them were done before" in summary.sentence()
    extract(path, make_embedder(), tmp_path / "unbroken", shard_size=2, progress=False)
    whole = content_of(tmp_path / "unbroken")
    assert len(whole) == 9  # three shards, two lists and their sum, manifest, journal, lock
    for name in whole.keys() - {"journal.jsonl"}:
        assert (tmp_path / "out" / name).read_bytes() == whole[name], name


def test_a_finished_run_that_is_repeated_embeds_nothing_and_changes_nothing(
    tmp_path: Path, fasta: Callable[[bytes], Path], make_embedder: MakeEmbedder
) -> None:
    first = extract(fasta(MIXED), make_embedder(), tmp_path / "out", progress=False)
    before = content_of(tmp_path / "out")
    embedder = make_embedder()
    again = extract(fasta(MIXED), embedder, tmp_path / "out", tokens_per_batch=9, progress=False)
    assert embedder.batches == []
    assert (again.resumed, again.embedded) == (8, first.embedded)
    after = content_of(tmp_path / "out")
    assert after.pop("journal.jsonl") != before.pop("journal.jsonl")
    assert after == before


@pytest.mark.parametrize("name", ["shard-00001.pt", "rejects-00001.csv"])
@pytest.mark.parametrize("damage", ["flip", "empty", "garbage", "missing"])
def test_a_damaged_file_is_set_aside_and_its_window_made_again(
    tmp_path: Path,
    fasta: Callable[[bytes], Path],
    make_embedder: MakeEmbedder,
    name: str,
    damage: str,
) -> None:
    extract(fasta(MIXED), make_embedder(), tmp_path / "out", shard_size=5, progress=False)
    whole = content_of(tmp_path / "out")
    path = tmp_path / "out" / name
    flipped = bytearray(whole[name])
    flipped[len(flipped) // 2] ^= 1
    damaged = {"flip": bytes(flipped), "empty": b"", "garbage": b"garbage"}
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(damaged[damage])
    summary = extract(fasta(MIXED), make_embedder(), tmp_path / "out", shard_size=5, progress=False)
    assert summary.resumed == 5
    now = content_of(tmp_path / "out")
    for kept in whole.keys() - {"journal.jsonl"}:
        assert now[kept] == whole[kept], kept
    if damage != "missing":
        assert (tmp_path / "out" / "set-aside" / f"{name}.1").read_bytes() == damaged[damage]
        assert "set-aside" in summary.events[0]


def test_a_strict_run_does_not_take_over_what_a_lenient_one_left_out(
    tmp_path: Path, fasta: Callable[[bytes], Path], make_embedder: MakeEmbedder
) -> None:
    path = fasta(b">x\nMK\n>y\nZ\n")
    extract(path, make_embedder(), tmp_path / "out", progress=False)
    with pytest.raises(StrictRejection, match=r"left out record 2 \('y'\): its embedding"):
        extract(path, make_embedder(), tmp_path / "out", strict=True, progress=False)


def test_safetensors_shards_hold_the_same_rows(
    tmp_path: Path, fasta: Callable[[bytes], Path], make_embedder: MakeEmbedder
) -> None:
    for form in ("pt", "safetensors"):
        extract(fasta(MIXED), make_embedder(), tmp_path / form, shard_format=form, progress=False)
    pt, safe = (open_folder(tmp_path / form) for form in ("pt", "safetensors"))
    assert [path.name for path in safe.files] == ["shard-00000.safetensors"]
    assert safe.ids() == pt.ids()
    pairs = zip(pt.blocks(), safe.blocks(), strict=True)
    assert all(torch.equal(one.matrix, other.matrix) for one, other in pairs)


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
        ".lock",
        "journal.jsonl",
        "manifest.json",
        "rejects-00002.csv",
        "rejects.csv",
        "shard-00000.pt",
        "shard-00001.pt",
    }
    assert open_folder(tmp_path / "out").ids() == ("../../x", "/x")
    assert [each.id for each in read_rejects(tmp_path / "out")] == ["a,\"b'"]


def test_a_file_that_changes_during_the_run_is_an_error_and_the_folder_is_not_whole(
    tmp_path: Path, fasta: Callable[[bytes], Path], make_embedder: MakeEmbedder
) -> None:
    path = fasta(b">a\nMK\n>b\nMK\n")
    embedder = make_embedder()
    clean = embedder.clean

    def edit(sequence: str) -> Cleaned:
        path.write_bytes(b">a\nMK\n>b\nMW\n")
        result: Cleaned = clean(sequence)
        return result

    embedder.clean = edit
    with pytest.raises(FastaError, match="the file changed during the run"):
        extract(path, embedder, tmp_path / "out", strict=True, progress=False)
    with pytest.raises(ManifestError, match="has not finished"):
        open_folder(tmp_path / "out")


def test_rejects_that_were_edited_into_nonsense_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="cannot be read"):
        read_rejects(tmp_path)
    for text in ("", "id,reason\n", "id,position,reason\na,x,y\n", "id,position,reason\na,1\n"):
        (tmp_path / "rejects.csv").write_text(text)
        with pytest.raises(FolderError, match="malformed"):
            read_rejects(tmp_path)
