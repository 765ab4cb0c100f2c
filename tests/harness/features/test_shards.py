from __future__ import annotations

import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

import harness.files
from embedders.errors import InputError
from harness.features import Format, Kind, Shard, ShardCorrupt, read_shard, write_shard
from tests.payload import Payload

WriteOriginal = Callable[[Path, dict[str, list[float]]], Path]


def rows(count: int, width: int, seed: int = 0) -> dict[str, list[float]]:
    """Values that float32 holds exactly, so that a list of floats and a tensor are equal."""
    values = np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)
    return {f"NC_{i}.1_chunk_{i}F1": row.tolist() for i, row in enumerate(values)}


@pytest.mark.parametrize("width", [384, 768])
def test_an_original_nucleotide_file_of_lists_of_floats_is_read(
    tmp_path: Path, write_dna: WriteOriginal, width: int
) -> None:
    made = rows(5, width)
    shard = read_shard(write_dna(tmp_path / "dna.pt", made))
    assert (shard.kind, shard.ids, shard.width) == (Kind.NUCLEOTIDE, tuple(made), width)
    assert shard.matrix.tolist() == list(made.values())


@pytest.mark.parametrize("width", [1280, 2560])
@pytest.mark.parametrize("old_archive", [False, True])
def test_an_original_protein_file_of_tensors_is_read(
    tmp_path: Path, width: int, old_archive: bool
) -> None:
    made = rows(4, width)
    content = {"proteins": list(made), "data": [torch.tensor(row) for row in made.values()]}
    torch.save(content, tmp_path / "p.pt", _use_new_zipfile_serialization=not old_archive)
    shard = read_shard(tmp_path / "p.pt")
    assert (shard.kind, shard.ids, shard.width) == (Kind.PROTEIN, tuple(made), width)
    assert shard.matrix.dtype == torch.float32
    assert shard.matrix.tolist() == list(made.values())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_vectors_of_another_dtype_and_lists_come_back_as_float32(
    tmp_path: Path, dtype: torch.dtype
) -> None:
    content = {"proteins": ["a", "b"], "data": [torch.tensor([0.5, 2], dtype=dtype), [1.5, 3]]}
    torch.save(content, tmp_path / "p.pt")
    shard = read_shard(tmp_path / "p.pt")
    assert shard.matrix.dtype == torch.float32
    assert shard.matrix.tolist() == [[0.5, 2.0], [1.5, 3.0]]


@pytest.mark.parametrize("labels", [None, [1, 1, 1], [0, 1, 0]])
def test_an_original_merged_file_is_read_with_and_without_labels(
    tmp_path: Path, labels: list[int] | None
) -> None:
    content: dict[str, Any] = {"ids": ["a", "b", "c"], "data": torch.arange(12.0).reshape(3, 4)}
    if labels is not None:
        content["labels"] = labels
    torch.save(content, tmp_path / "m.pt")
    shard = read_shard(tmp_path / "m.pt")
    assert shard.kind is Kind.MERGED
    assert shard.matrix.tolist() == content["data"].tolist()
    assert (None if shard.labels is None else shard.labels.tolist()) == labels


@given(
    kind=st.sampled_from(list(Kind)),
    ids=st.lists(st.text(min_size=1), min_size=1, max_size=6, unique=True),
    width=st.integers(1, 5),
    labelled=st.booleans(),
    form=st.sampled_from(list(Format)),
    seed=st.integers(0, 2**16),
)
def test_a_written_shard_reads_back_equal_and_holds_only_plain_values(
    tmp_path_factory: pytest.TempPathFactory,
    kind: Kind,
    ids: list[str],
    width: int,
    labelled: bool,
    form: Format,
    seed: int,
) -> None:
    matrix = torch.randn(len(ids), width, generator=torch.Generator().manual_seed(seed))
    labels = np.arange(len(ids)) % 2 if labelled and kind is Kind.MERGED else None
    path = tmp_path_factory.mktemp("shards") / f"s.{form}"
    write_shard(path, Shard(kind, tuple(np.array(ids, dtype=object)), matrix, labels))
    read = read_shard(path)
    assert (read.kind, read.ids) == (kind, tuple(ids))
    assert torch.equal(read.matrix, matrix)
    assert (read.labels is None) == (labels is None)
    if labels is not None:
        assert read.labels is not None
        assert read.labels.tolist() == labels.tolist()
    if form is Format.PT:
        plain(torch.load(path, weights_only=True))


def plain(value: object) -> None:
    assert type(value) in {dict, list, str, int, float, torch.Tensor}
    if isinstance(value, dict):
        for key, inner in value.items():
            plain(key)
            plain(inner)
    elif isinstance(value, list):
        for inner in value:
            plain(inner)


def test_written_forms_are_those_of_the_original_pipeline(tmp_path: Path) -> None:
    matrix = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    for kind in Kind:
        labels = np.array([1, 0]) if kind is Kind.MERGED else None
        write_shard(tmp_path / f"{kind}.pt", Shard(kind, ("a", "b"), matrix, labels))
    protein = torch.load(tmp_path / "protein.pt", weights_only=True)
    assert protein["proteins"] == ["a", "b"]
    assert [row.tolist() for row in protein["data"]] == [[1.0, 2.0], [3.0, 4.0]]
    assert torch.load(tmp_path / "nucleotide.pt", weights_only=True) == {
        "nucleotide": ["a", "b"],
        "data": [
            {"label": "a", "mean_representation": [1.0, 2.0]},
            {"label": "b", "mean_representation": [3.0, 4.0]},
        ],
    }
    merged = torch.load(tmp_path / "merged.pt", weights_only=True)
    assert (merged["ids"], merged["labels"]) == (["a", "b"], [1, 0])
    assert torch.equal(merged["data"], matrix)


@pytest.mark.parametrize("form", list(Format))
@pytest.mark.parametrize("kind", [Kind.PROTEIN, Kind.MERGED])
def test_a_file_of_views_is_the_size_of_its_content(
    tmp_path: Path, kind: Kind, form: Format
) -> None:
    batch = torch.randn(1000, 1000)
    path = tmp_path / f"s.{form}"
    write_shard(path, Shard(kind, ("a", "b"), batch[10:12]))
    content_bytes = 2 * 1000 * 4
    assert path.stat().st_size < content_bytes + 4000
    torch.save({"proteins": ["a", "b"], "data": list(batch[10:12])}, tmp_path / "naive.pt")
    assert (tmp_path / "naive.pt").stat().st_size > 400 * content_bytes  # the fault bites


@pytest.mark.parametrize("form", list(Format))
def test_equal_shards_give_equal_bytes_under_any_name(tmp_path: Path, form: Format) -> None:
    paths = [tmp_path / f"{name}.{form}" for name in ("a", "longer-name")]
    for path in paths:
        write_shard(path, Shard(Kind.PROTEIN, ("x", "y"), torch.ones(2, 3)))
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_failing_write_leaves_no_file_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(content: object, file: io.BufferedWriter) -> None:
        whole = io.BytesIO()
        real(content, whole)
        file.write(whole.getvalue()[: len(whole.getvalue()) // 2])
        file.flush()
        assert [each.suffix for each in tmp_path.iterdir()] == [harness.files.PARTIAL_SUFFIX]
        raise OSError(28, "No space left on device")

    real = torch.save
    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(OSError, match="No space left"):
        write_shard(tmp_path / "s.pt", Shard(Kind.PROTEIN, ("a",), torch.ones(1, 3)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", list(Format))
@pytest.mark.parametrize("kind", list(Kind))
def test_truncated_and_garbage_files_are_corrupt_by_name(
    tmp_path: Path, kind: Kind, form: Format
) -> None:
    path = tmp_path / f"s.{form}"
    write_shard(path, Shard(kind, ("a", "b"), torch.ones(2, 30)))
    whole = path.read_bytes()
    for damaged in (b"", b"PK", b"garbage" * 40, whole[:100], whole[: len(whole) // 2], whole[:-1]):
        path.write_bytes(damaged)
        with pytest.raises(ShardCorrupt, match=rf"s\.{form}: .*make it again"):
            read_shard(path)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol:UserWarning")
@given(st.data())
def test_flipped_bytes_give_a_shard_or_the_one_documented_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("flip") / f"s.{data.draw(st.sampled_from(list(Format)))}"
    kind = data.draw(st.sampled_from(list(Kind)))
    write_shard(path, Shard(kind, ("a", "b"), torch.ones(2, 3)))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        assert read_shard(path).matrix.shape[0] > 0
    except ShardCorrupt as error:
        assert error.path == path  # noqa: PT017 - either outcome is right


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_payload_is_refused_and_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "s.pt"
    content = {"proteins": ["a"], "data": Payload()}
    if zipped:
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(ShardCorrupt):
        read_shard(path)
    assert not (tmp_path / "payload-was-run").exists()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ([1, 2], "must hold a dictionary"),
        ({"id": ["a"], "data": []}, "keys"),
        ({"proteins": ["a"]}, "must be a list"),
        ({"proteins": "a", "data": [torch.ones(2)]}, "ids must be a list"),
        ({"proteins": ["a", "b"], "data": [torch.ones(2)]}, "2 ids do not fit"),
        ({"proteins": ["a", "b"], "data": [torch.ones(2), torch.ones(3)]}, "row 1 is 3 wide"),
        ({"proteins": ["a", "a"], "data": [torch.ones(2), torch.ones(2)]}, "come twice, 1: 'a'"),
        ({"proteins": ["a"], "data": [torch.ones(2, 2)]}, "a vector of floating numbers"),
        ({"proteins": ["a"], "data": [torch.ones(2, dtype=torch.int64)]}, "floating"),
        ({"proteins": ["a"], "data": [["x"]]}, "list of numbers"),
        ({"proteins": ["a"], "data": [torch.empty(0)]}, "at least 1 wide"),
        ({"proteins": [], "data": []}, "no row"),
        ({"proteins": ["a", ""], "data": [[1.0], [2.0]]}, "text and not empty"),
        ({"proteins": ["a", 3], "data": [[1.0], [2.0]]}, "text and not empty"),
        ({"proteins": ["a", "b"], "data": [[1.0], [float("nan")]]}, "NaN or infinity, 1: 'b'"),
        ({"nucleotide": ["a"], "data": [[1.0]]}, "'label' and 'mean_representation'"),
        (
            {"nucleotide": ["a"], "data": [{"label": "b", "mean_representation": [1.0]}]},
            "not the ids",
        ),
        ({"ids": ["a"], "data": [1.0]}, "floating"),
        ({"ids": ["a"], "data": torch.ones(1, 2).to_sparse()}, "floating"),
        ({"ids": ["a"], "data": torch.ones(1, 2, device="meta")}, "floating"),
        ({"ids": ["a"], "data": torch.ones(1).expand(1, 10**13)}, "floating"),
        ({"ids": ["a"], "data": torch.ones(2)}, r"matrix \(n, d\)"),
        ({"ids": ["a"], "data": torch.ones(1, 2), "labels": [2]}, "labels must be"),
        ({"ids": ["a"], "data": torch.ones(1, 2), "labels": [1, 1]}, "labels must be"),
        ({"ids": ["a"], "data": torch.ones(1, 2), "labels": ["viral"]}, "labels must be"),
    ],
)
def test_a_file_that_contradicts_its_form_is_corrupt_and_says_why(
    tmp_path: Path, content: object, problem: str
) -> None:
    torch.save(content, tmp_path / "s.pt")
    with pytest.raises(ShardCorrupt, match=problem):
        read_shard(tmp_path / "s.pt")


def test_a_missing_file_is_corrupt_by_name(tmp_path: Path) -> None:
    with pytest.raises(ShardCorrupt, match="no such file"):
        read_shard(tmp_path / "none.pt")


def test_a_shard_refuses_what_would_misalign_or_poison_it() -> None:
    with pytest.raises(InputError, match="do not fit"):
        Shard(Kind.PROTEIN, ("a",), torch.ones(2, 3))
    with pytest.raises(InputError, match="no place for labels"):
        Shard(Kind.PROTEIN, ("a",), torch.ones(1, 3), np.array([1]))
    with pytest.raises(InputError, match="float32"):
        Shard(Kind.PROTEIN, ("a",), torch.ones(1, 3, dtype=torch.float64))
    with pytest.raises(InputError, match="NaN or infinity"):
        Shard(Kind.MERGED, ("a",), torch.tensor([[1.0, torch.inf]]))


@pytest.mark.parametrize(
    ("tensors", "header", "problem"),
    [
        ({"data": torch.ones(1, 2)}, None, "no ids"),
        ({"other": torch.ones(1, 2)}, {}, "no ids"),
        ({"data": torch.ones(1, 2), "more": torch.ones(1)}, {}, "no ids"),
        ({"data": torch.ones(1, 2, dtype=torch.int64)}, {}, "floating"),
        ({"data": torch.ones(1, 2)}, {"schema": "embedding-shard/2"}, "schema"),
        ({"data": torch.ones(1, 2)}, {"kind": "rna"}, "'kind' and the list 'ids'"),
        ({"data": torch.ones(1, 2)}, {"kind": []}, "'kind' and the list 'ids'"),
        ({"data": torch.ones(1, 2)}, {"ids": "a"}, "'kind' and the list 'ids'"),
        ({"data": torch.ones(1, 2)}, {"ids": [1]}, "text and not empty"),
        ({"data": torch.ones(1, 2)}, {"ids": ["a", "b"]}, "do not fit"),
        ({"data": torch.ones(1, 2)}, {"labels": [10**30]}, "labels must be"),
        ({"data": torch.full((1, 2), torch.inf)}, {}, "NaN or infinity"),
    ],
)
def test_a_safetensors_file_that_contradicts_its_form_is_corrupt_and_says_why(
    tmp_path: Path,
    tensors: dict[str, torch.Tensor],
    header: dict[str, object] | None,
    problem: str,
) -> None:
    good = {"schema": "embedding-shard/1", "kind": "merged", "ids": ["a"], "labels": None}
    metadata = None if header is None else {"shard": json.dumps(good | header)}
    save_file(tensors, tmp_path / "s.safetensors", metadata)
    with pytest.raises(ShardCorrupt, match=problem):
        read_shard(tmp_path / "s.safetensors")
