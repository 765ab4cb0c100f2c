from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.features import (
    FeaturesError,
    FolderError,
    Kind,
    ShardCorrupt,
    extract,
    open_folder,
)

WriteOriginal = Callable[[Path, dict[str, list[float]]], Path]
MakeEmbedder = Callable[..., Any]


def test_a_folder_of_original_files_is_read_in_the_order_of_their_names(
    tmp_path: Path, write_protein: WriteOriginal
) -> None:
    write_protein(tmp_path / "b.pt", {"y": [3.0, 4.0]})
    write_protein(tmp_path / "a.pt", {"z": [1.0, 2.0], "x": [5.0, 6.0]})
    (tmp_path / "notes.txt").write_text("beside")
    folder = open_folder(tmp_path, embedder="esm2-3b")
    assert (folder.kind, folder.width, folder.name) == (Kind.PROTEIN, 2, "esm2-3b")
    assert folder.manifest is None
    assert folder.parts[0].sha256 is None
    assert folder.ids() == ("z", "x", "y")
    assert [block.matrix.tolist() for block in folder.blocks()] == [
        [[1.0, 2.0], [5.0, 6.0]],
        [[3.0, 4.0]],
    ]


def test_one_original_file_is_a_folder_by_itself(tmp_path: Path, write_dna: WriteOriginal) -> None:
    folder = open_folder(write_dna(tmp_path / "a.pt", {"x": [1.0]}))
    assert (folder.kind, folder.name, folder.ids()) == (Kind.NUCLEOTIDE, "unrecorded", ("x",))


def test_nothing_to_read_is_an_error_that_names_the_place(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="no such file or folder"):
        open_folder(tmp_path / "none")
    with pytest.raises(FolderError, match="holds neither"):
        open_folder(tmp_path)


def test_files_of_other_widths_or_kinds_in_one_folder_are_corrupt_by_name(
    tmp_path: Path, write_protein: WriteOriginal, write_dna: WriteOriginal
) -> None:
    write_protein(tmp_path / "a.pt", {"x": [1.0, 2.0]})
    write_protein(tmp_path / "b.pt", {"y": [1.0]})
    with pytest.raises(ShardCorrupt, match=r"b\.pt: holds protein vectors 1 wide among"):
        open_folder(tmp_path).ids()
    write_dna(tmp_path / "b.pt", {"y": [1.0, 2.0]})
    with pytest.raises(ShardCorrupt, match=r"b\.pt: holds nucleotide vectors"):
        open_folder(tmp_path).ids()


def test_an_id_in_two_files_is_an_error(tmp_path: Path, write_protein: WriteOriginal) -> None:
    write_protein(tmp_path / "a.pt", {"x": [1.0]})
    write_protein(tmp_path / "b.pt", {"x": [2.0]})
    with pytest.raises(FeaturesError, match="more than once, 1: 'x'"):
        open_folder(tmp_path).ids()


def test_a_shard_that_is_missing_or_exchanged_is_corrupt_by_name(
    tmp_path: Path, make_embedder: MakeEmbedder
) -> None:
    (tmp_path / "in.fa").write_text(">a\nMK\n>b\nMKT\n")
    extract(tmp_path / "in.fa", make_embedder(), tmp_path / "out", shard_size=1, progress=False)
    first, second = (tmp_path / "out" / f"shard-0000{i}.pt" for i in range(2))
    second.write_bytes(first.read_bytes())
    with pytest.raises(ShardCorrupt, match=r"shard-00001\.pt: its bytes have changed"):
        open_folder(tmp_path / "out").ids()
    second.unlink()
    with pytest.raises(ShardCorrupt, match=r"shard-00001\.pt: cannot be read"):
        open_folder(tmp_path / "out").ids()


def test_rows_beyond_the_manifest_are_corrupt_even_unverified(
    tmp_path: Path, make_embedder: MakeEmbedder
) -> None:
    (tmp_path / "in.fa").write_text(">a\nMK\n")
    extract(tmp_path / "in.fa", make_embedder(), tmp_path / "out", progress=False)
    data = [torch.ones(3), torch.ones(3)]
    torch.save({"proteins": ["a", "b"], "data": data}, tmp_path / "out" / "shard-00000.pt")
    with pytest.raises(ShardCorrupt, match="holds 2 rows where the manifest says 1"):
        list(open_folder(tmp_path / "out").blocks(verify=False))
