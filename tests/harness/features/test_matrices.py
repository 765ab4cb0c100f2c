from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.features import (
    Features,
    FeaturesError,
    ShardCorrupt,
    block_labels,
    extract,
    load_features,
    merged_blocks,
    repack,
)

WriteOriginal = Callable[[Path, dict[str, list[float]]], Path]
MakeEmbedder = Callable[..., Any]


@pytest.fixture
def merged(
    tmp_path: Path, make_embedder: MakeEmbedder
) -> Callable[[str, str, str, int | None], Path]:
    def make(name: str, fasta: str, embedder: str, label: int | None) -> Path:
        (tmp_path / f"{name}.fa").write_text(fasta)
        single = tmp_path / f"{name}-single"
        extract(tmp_path / f"{name}.fa", make_embedder(embedder), single, progress=False)
        repack(single, tmp_path / name, label=label, shard_size=2)
        return tmp_path / name

    return make


Merged = Callable[[str, str, str, int | None], Path]


def test_one_folder_of_embeddings_is_features_by_itself(
    tmp_path: Path, make_embedder: MakeEmbedder, vector_of: Callable[[str], list[float]]
) -> None:
    (tmp_path / "in.fa").write_text(">a\nMK\n>b\nWWW\n>c\nY\n")
    extract(tmp_path / "in.fa", make_embedder(), tmp_path / "out", shard_size=2, progress=False)
    features = load_features(tmp_path / "out")
    assert features.ids == ("a", "b", "c")
    assert features.matrix.tolist() == [vector_of(each) for each in ("MK", "WWW", "Y")]
    assert features.labels is None
    assert [part.name for part in features.parts] == ["toy"]


def test_blocks_of_host_and_viral_folders_come_mapped_with_their_labels(merged: Merged) -> None:
    host = merged("host", ">a\nMK\n>b\nMT\n>c\nMW\n", "toy", 0)
    viral = merged("viral", ">d\nMKK\n", "toy", 1)
    blocks = merged_blocks([host, viral])
    assert [block.ids for block in blocks] == [("a", "b"), ("c",), ("d",)]
    assert block_labels(blocks).tolist() == [0, 0, 0, 1]
    features = load_features(host, viral)
    assert torch.equal(torch.cat([block.matrix for block in blocks]), features.matrix)
    assert features.labels is not None
    assert features.labels.tolist() == [0, 0, 0, 1]


def test_a_mapped_block_does_not_write_to_its_file(merged: Merged) -> None:
    folder = merged("host", ">a\nMK\n", "toy", 0)
    before = (folder / "shard-00000.pt").read_bytes()
    merged_blocks([folder])[0].matrix.zero_()
    assert (folder / "shard-00000.pt").read_bytes() == before


def test_features_of_different_embedders_are_refused_and_both_named(merged: Merged) -> None:
    host = merged("host", ">a\nMK\n", "baseline", 0)
    viral = merged("viral", ">d\nMKK\n", "candidate", 1)
    with pytest.raises(FeaturesError, match=r"baseline \(3 wide.*candidate \(3 wide"):
        merged_blocks([host, viral])
    with pytest.raises(FeaturesError, match="different embedders"):
        load_features(host, viral)


def test_an_id_in_two_folders_is_refused(merged: Merged) -> None:
    with pytest.raises(FeaturesError, match="more than once, 1: 'a'"):
        merged_blocks([merged("x", ">a\nMK\n", "toy", 0), merged("y", ">a\nMK\n", "toy", 1)])


def test_labels_on_some_rows_only_are_refused(merged: Merged) -> None:
    some = merged("x", ">a\nMK\n", "toy", 0)
    none = merged("y", ">b\nMK\n", "toy", None)
    with pytest.raises(FeaturesError, match="some rows carry labels"):
        merged_blocks([some, none])
    with pytest.raises(FeaturesError, match="carry no labels"):
        block_labels(merged_blocks([none]))


def test_nothing_and_unmerged_folders_are_refused(
    tmp_path: Path, write_protein: WriteOriginal
) -> None:
    with pytest.raises(FeaturesError, match="at least one folder"):
        load_features()
    with pytest.raises(FeaturesError, match="not merged ones"):
        merged_blocks([write_protein(tmp_path / "p.pt", {"a": [1.0]})])


def test_a_byte_that_changed_in_a_shard_is_found_before_it_is_used(merged: Merged) -> None:
    path = merged("host", ">a\nMK\n", "toy", 0) / "shard-00000.pt"
    content = bytearray(path.read_bytes())
    place = content.index(torch.tensor([2.0]).numpy().tobytes())  # the toy's length of "MK"
    content[place + 2] ^= 0x40
    path.write_bytes(content)
    assert merged_blocks([path])[0].matrix[0, 0] != 2.0  # torch itself does not notice
    with pytest.raises(ShardCorrupt, match="bytes have changed"):
        merged_blocks([path.parent])
    with pytest.raises(ShardCorrupt, match="bytes have changed"):
        load_features(path.parent)


def test_features_that_do_not_fit_are_refused() -> None:
    with pytest.raises(FeaturesError, match="do not fit"):
        Features(("a",), torch.ones(2, 3), ())
    with pytest.raises(FeaturesError, match="do not sum"):
        Features(("a",), torch.ones(1, 3), ())
