from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import harness.features.store
from embedders import load
from embedders.contract import Modality
from embedders.errors import InputError
from harness.features import (
    FolderError,
    Kind,
    ManifestError,
    MergeError,
    Shard,
    extract,
    load_features,
    merge,
    open_folder,
    part_of,
    read_rejects,
    read_shard,
    repack,
    write_shard,
)

WriteOriginal = Callable[[Path, dict[str, list[float]]], Path]
MakeEmbedder = Callable[..., Any]


def vectors(ids: list[str], width: int, seed: int) -> dict[str, list[float]]:
    values = np.random.default_rng(seed).normal(size=(len(ids), width)).astype(np.float32)
    return {each: row.tolist() for each, row in zip(ids, values, strict=True)}


def original_folder(
    folder: Path, rows: dict[str, list[float]], per_file: int, write: WriteOriginal
) -> Path:
    folder.mkdir(parents=True)
    names = list(rows)
    for number, start in enumerate(range(0, len(names), per_file)):
        chosen = names[start : start + per_file]
        write(folder / f"part_{number:03d}.pt", {each: rows[each] for each in chosen})
    return folder


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_merge_equals_a_plain_join_by_id_whatever_orders_and_file_sizes(
    tmp_path_factory: pytest.TempPathFactory,
    write_dna: WriteOriginal,
    write_protein: WriteOriginal,
    data: st.DataObject,
) -> None:
    folder = tmp_path_factory.mktemp("merge")
    ids = [f"c_chunk_{i}F1" for i in range(data.draw(st.integers(1, 25)))]
    sizes = st.integers(1, 30)
    dna = vectors(data.draw(st.permutations(ids)), data.draw(st.integers(1, 4)), seed=1)
    protein = vectors(data.draw(st.permutations(ids)), data.draw(st.integers(1, 4)), seed=2)
    label = data.draw(st.sampled_from([None, 0, 1]))
    shard_size = data.draw(sizes)
    merged = merge(
        original_folder(folder / "dna", dna, data.draw(sizes), write_dna),
        original_folder(folder / "protein", protein, data.draw(sizes), write_protein),
        folder / "out",
        label=label,
        shard_size=shard_size,
    )
    blocks = list(merged.blocks())
    found = {
        each: row
        for block in blocks
        for each, row in zip(block.ids, block.matrix.tolist(), strict=True)
    }
    assert list(found.items()) == [(each, dna[each] + protein[each]) for each in protein]
    assert [len(block.ids) for block in blocks[:-1]] == [shard_size] * (len(blocks) - 1)
    for block in blocks:
        expected = None if label is None else [label] * len(block.ids)
        assert (None if block.labels is None else block.labels.tolist()) == expected


@pytest.mark.parametrize(
    ("dna_width", "protein_width", "merged_width"),
    [(384, 2560, 2944), (384, 1280, 1664), (768, 2560, 3328), (768, 1280, 2048)],
)
def test_original_files_of_the_true_widths_merge_dna_first(
    tmp_path: Path,
    write_dna: WriteOriginal,
    write_protein: WriteOriginal,
    dna_width: int,
    protein_width: int,
    merged_width: int,
) -> None:
    ids = [f"NC_029549.1_chunk_{i}R2" for i in range(7)]
    dna = vectors(ids, dna_width, seed=1)
    protein = vectors(ids[::-1], protein_width, seed=2)
    merged = merge(
        write_dna(tmp_path / "dna.pt", dna),
        write_protein(tmp_path / "protein.pt", protein),
        tmp_path / "out",
        label=1,
    )
    content = torch.load(tmp_path / "out" / "shard-00000.pt", weights_only=True)
    assert merged.width == merged_width
    assert content["ids"] == ids[::-1]
    assert content["labels"] == [1] * 7
    assert content["data"].tolist() == [dna[each] + protein[each] for each in ids[::-1]]


def naive_merge(dna: Path, protein: Path) -> dict[str, Any]:
    """Join as the original pipeline does: rows of missing ids are skipped, the ids are not."""
    left, right = torch.load(dna, weights_only=True), torch.load(protein, weights_only=True)
    by_id = dict(zip(right["proteins"], right["data"], strict=True))
    rows = [
        torch.cat((torch.tensor(row["mean_representation"]), by_id[row["label"]]))
        for row in left["data"]
        if row["label"] in by_id
    ]
    return {"ids": left["nucleotide"], "data": torch.stack(rows)}


def test_an_id_missing_on_one_side_is_an_error_where_the_original_misaligns_rows(
    tmp_path: Path, write_dna: WriteOriginal, write_protein: WriteOriginal
) -> None:
    dna = vectors(["a", "b", "c"], 2, seed=1)
    protein = vectors(["a", "c"], 2, seed=2)
    paths = (
        write_dna(tmp_path / "dna.pt", dna),
        write_protein(tmp_path / "protein.pt", protein),
    )
    defect = naive_merge(*paths)
    row_under_b = dict(zip(defect["ids"], defect["data"].tolist(), strict=False))["b"]
    assert row_under_b == dna["c"] + protein["c"]  # the known defect, shown
    with pytest.raises(MergeError, match=r"protein\.pt: ids of the DNA side .* 1: 'b'"):
        merge(*paths, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("dna_ids", "protein_ids", "problem"),
    [
        (["a"], ["a", "b"], r"dna: ids of the protein side that are missing, 1: 'b'"),
        (["a", "b"], ["b"], r"protein: ids of the DNA side that are missing, 1: 'a'"),
        (["a", "b", "a"], ["a", "b"], r"dna: ids that come more than once, 1: 'a'"),
        (["a", "b"], ["a", "b", "b"], r"protein: ids that come more than once, 1: 'b'"),
        (["a"], ["a", "b", "b"], r"protein: ids that come more than once, 1: 'b'.*missing, 1: 'b'"),
        (["a"], ["b"], r"missing, 1: 'b'.*missing, 1: 'a'"),
    ],
)
def test_missing_and_repeated_ids_on_either_side_are_listed_before_anything_is_written(
    tmp_path: Path,
    write_dna: WriteOriginal,
    write_protein: WriteOriginal,
    dna_ids: list[str],
    protein_ids: list[str],
    problem: str,
) -> None:
    for side, ids, write in (("dna", dna_ids, write_dna), ("protein", protein_ids, write_protein)):
        (tmp_path / side).mkdir()
        for number, each in enumerate(ids):  # a file each: a repeat within one file is corrupt
            write(tmp_path / side / f"{number}.pt", {each: [float(number)]})
    with pytest.raises(MergeError, match=problem):
        merge(tmp_path / "dna", tmp_path / "protein", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_of_many_missing_ids_the_first_twenty_and_the_count_are_told(
    tmp_path: Path, write_dna: WriteOriginal, write_protein: WriteOriginal
) -> None:
    write_dna(tmp_path / "dna.pt", vectors(["x"], 1, seed=1))
    write_protein(
        tmp_path / "p.pt", vectors(["x", *(f"id{i:04d}" for i in range(1234))], 1, seed=2)
    )
    with pytest.raises(MergeError) as caught:
        merge(tmp_path / "dna.pt", tmp_path / "p.pt", tmp_path / "out")
    assert "1,234: 'id0000'," in str(caught.value)
    assert "'id0019', …" in str(caught.value)
    assert "id0020" not in str(caught.value)


def test_sides_given_the_wrong_way_round_are_refused(
    tmp_path: Path, write_dna: WriteOriginal, write_protein: WriteOriginal
) -> None:
    dna = write_dna(tmp_path / "dna.pt", {"a": [1.0]})
    protein = write_protein(tmp_path / "protein.pt", {"a": [1.0]})
    with pytest.raises(MergeError, match="DNA folder first"):
        merge(protein, dna, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_record_rejected_on_one_side_is_left_out_and_listed_not_lost(tmp_path: Path) -> None:
    proteins, genes = tmp_path / "in.faa", tmp_path / "in.fna"
    proteins.write_text(">a\nMKV\n>stop\nMK*V\n>c\nMKT\n>gap\nMMM\n")
    genes.write_text(">gap\nNNNNNNNN\n>c\nACGTA\n>stop\nACGTT\n>a\nACGTC\n")
    protein = load("esm2-8m", weights="random", layers=1, device="cpu")
    extract(proteins, protein, tmp_path / "protein", progress=False)
    extract(genes, load("kmer4"), tmp_path / "dna", progress=False)
    merged = merge(tmp_path / "dna", tmp_path / "protein", tmp_path / "out")
    assert merged.ids() == ("a", "c")
    assert {reject.id for reject in read_rejects(tmp_path / "out")} == {"stop", "gap"}
    assert merged.manifest is not None
    assert merged.manifest.totals == {"records": 4, "embedded": 2, "rejected": 2, "residues": 0}
    rows = {
        each: row
        for block in merged.blocks()
        for each, row in zip(block.ids, block.matrix, strict=True)
    }
    expected = torch.cat([load("kmer4").embed(["ACGTA"]), protein.embed(["MKT"])], dim=1)[0]
    assert torch.allclose(rows["c"], expected, atol=1e-6)


def test_the_merged_manifest_names_both_parts_in_column_order(
    tmp_path: Path, make_embedder: MakeEmbedder
) -> None:
    fasta = tmp_path / "in.fa"
    fasta.write_text(">a\nACGT\n>b\nACCA\n")
    sides = {"dna": Modality.NUCLEOTIDE, "protein": Modality.PROTEIN}
    embedders = {side: make_embedder(side, modality) for side, modality in sides.items()}
    for side, embedder in embedders.items():
        extract(fasta, embedder, tmp_path / side, progress=False)
    merged = merge(tmp_path / "dna", tmp_path / "protein", tmp_path / "out", label=0)
    assert merged.parts == (part_of(embedders["dna"].spec), part_of(embedders["protein"].spec))
    assert merged.name == "dna+protein"
    assert merged.manifest is not None
    assert [source.name for source in merged.manifest.sources] == ["dna", "protein"]
    protein = open_folder(tmp_path / "protein").manifest
    assert protein is not None
    assert merged.manifest.sources[1].sha256 == protein.content_sha256
    assert (merged.manifest.label, merged.manifest.totals["embedded"]) == (0, 2)


def test_a_merge_that_breaks_off_is_not_read_as_whole_and_is_completed_by_its_repetition(
    tmp_path: Path,
    write_dna: WriteOriginal,
    write_protein: WriteOriginal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail_on_the_second(path: Path, shard: Shard) -> None:
        if path.name == "shard-00001.pt":
            raise OSError(28, "No space left on device")
        write_shard(path, shard)

    dna = write_dna(tmp_path / "dna.pt", vectors(["a", "b"], 2, seed=1))
    protein = write_protein(tmp_path / "protein.pt", vectors(["a", "b"], 2, seed=2))
    with monkeypatch.context() as patched:
        patched.setattr(harness.features.store, "write_shard", fail_on_the_second)
        with pytest.raises(FolderError, match="No space left"):
            merge(dna, protein, tmp_path / "out", shard_size=1)
    with pytest.raises(ManifestError, match="has not finished"):
        open_folder(tmp_path / "out")
    with pytest.raises(FolderError, match="shard size is 1 there and 10000 here"):
        merge(dna, protein, tmp_path / "out")
    merge(dna, protein, tmp_path / "out", shard_size=1)
    merge(dna, protein, tmp_path / "unbroken", shard_size=1)
    for name in ("manifest.json", "shard-00000.pt", "shard-00001.pt", "rejects.csv"):
        whole = (tmp_path / "unbroken" / name).read_bytes()
        assert (tmp_path / "out" / name).read_bytes() == whole


def test_one_folder_alone_is_repacked_with_its_label(
    tmp_path: Path, write_protein: WriteOriginal
) -> None:
    protein = vectors([f"s{i}" for i in range(5)], 3, seed=1)
    folder = original_folder(tmp_path / "protein", protein, 2, write_protein)
    packed = repack(folder, tmp_path / "out", label=1, shard_size=3)
    assert (packed.kind, packed.width, packed.name) == (Kind.MERGED, 3, "unrecorded")
    first = read_shard(tmp_path / "out" / "shard-00000.pt")
    assert first.ids == ("s0", "s1", "s2")
    features = load_features(packed)
    assert features.matrix.tolist() == list(protein.values())
    assert features.labels is not None
    assert features.labels.tolist() == [1] * 5


@pytest.mark.parametrize(("option", "value"), [("label", 2), ("shard_size", 0)])
def test_wrong_options_are_refused(tmp_path: Path, option: str, value: int) -> None:
    options: dict[str, Any] = {option: value}
    with pytest.raises(InputError, match=option):
        merge(tmp_path, tmp_path, tmp_path / "out", **options)


PEAK_MEMORY = """
import sys
from pathlib import Path
import numpy as np
import torch
from harness.features import Kind, Shard, Format, write_shard, merge
from harness.features.folders import EmbeddingFolder
from harness.features.manifest import Part

WIDTH, ROWS = 1024, 1000

def peak_bytes():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024

def sides(place, shards):
    # the protein side in another order altogether: every DNA row is far from its neighbours
    order = np.random.default_rng(0).permutation(shards * ROWS)
    for kind, numbers in ((Kind.NUCLEOTIDE, np.arange(shards * ROWS)), (Kind.PROTEIN, order)):
        folder = place / kind
        folder.mkdir(parents=True)
        files = []
        for start in range(0, shards * ROWS, ROWS):
            ids = tuple(f"r{number}" for number in numbers[start : start + ROWS])
            files.append(folder / f"{start}.safetensors")
            write_shard(files[-1], Shard(kind, ids, torch.ones(ROWS, WIDTH)))
        yield EmbeddingFolder(folder, kind, WIDTH, (Part("x", kind, WIDTH, None),), tuple(files))

place = Path(sys.argv[1])
merge(*sides(place / "few", 4), place / "few-merged", shard_size=ROWS)
few = peak_bytes()
merge(*sides(place / "many", 24), place / "many-merged", shard_size=ROWS)
print(peak_bytes() - few)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's /proc")
def test_peak_memory_of_a_merge_does_not_grow_with_its_rows(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", PEAK_MEMORY, str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
    )
    # each side of the larger merge has 82 MB more than of the smaller; a pair of shards has 8 MB
    assert int(run.stdout) < 35e6
