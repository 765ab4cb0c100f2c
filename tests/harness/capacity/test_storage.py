"""Bytes on the disk: to the byte what the code writes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from embedders import load
from harness import features
from harness.capacity import shard_bytes, storage_of
from harness.features import Format, Kind, Shard
from tests.bundled import shortest, write_fasta


@pytest.mark.parametrize("shape", list(Format))
@pytest.mark.parametrize(
    ("kind", "rows", "width"),
    [
        (Kind.PROTEIN, 1, 7),
        (Kind.PROTEIN, 300, 96),
        (Kind.PROTEIN, 1100, 33),
        (Kind.MERGED, 1, 5),
        (Kind.MERGED, 700, 232),
        (Kind.NUCLEOTIDE, 3, 136),
        (Kind.NUCLEOTIDE, 2345, 17),
        (Kind.NUCLEOTIDE, 1999, 1000),  # wider than what is written out to count it
        (Kind.NUCLEOTIDE, 501, 768),
        (Kind.NUCLEOTIDE, 77, 128),
        (Kind.NUCLEOTIDE, 30, 1025),  # a list is pickled a thousand values at a time
    ],
)
def test_a_shard_is_as_large_as_it_is_projected(
    tmp_path: Path, shape: Format, kind: Kind, rows: int, width: int
) -> None:
    path = tmp_path / f"shard.{shape}"
    values = torch.randn(rows, width, generator=torch.Generator().manual_seed(0))
    ids = tuple(f"NC_029549.1_chunk_{row:06d}" for row in range(rows))
    features.write_shard(path, Shard(kind, ids, values))
    assert path.stat().st_size == shard_bytes(kind, rows, width, len(ids[0]), shape)


@pytest.mark.parametrize("shape", list(Format))
def test_a_whole_run_is_as_large_as_it_is_projected(tmp_path: Path, shape: Format) -> None:
    proteins = {f"id{n:04d}": each for n, each in enumerate(shortest(11).values())}
    nucleotides = dict.fromkeys(proteins, "ACGTTGCAAGCTTACGGATC")
    sides = {
        "protein": (load("mini-candidate", device="cpu"), proteins),
        "dna": (load("kmer4"), nucleotides),
    }
    for name, (embedder, records) in sides.items():
        fasta = write_fasta(tmp_path / f"{name}.fa", records)
        out = tmp_path / name
        features.extract(fasta, embedder, out, shard_size=4, shard_format=shape, progress=False)
    features.merge(
        tmp_path / "dna",
        tmp_path / "protein",
        tmp_path / "merged",
        shard_size=4,
        shard_format=shape,
    )
    written = {
        name: sum(each.stat().st_size for each in (tmp_path / name).rglob(f"*.{shape}"))
        for name in ("protein", "dna", "merged")
    }
    found = storage_of(11, 96, 136, id_bytes=6, shard_format=shape, shard_size=4)
    assert written == {
        "protein": found.protein_bytes,
        "dna": found.dna_bytes,
        "merged": found.merged_bytes,
    }
    assert found.total_bytes == sum(written.values())


def test_vectors_are_four_bytes_a_number_and_little_more() -> None:
    # a billion vectors of 1,280 float32 are 5.12 TB; a .pt file adds some 300 bytes to each
    found = storage_of(10**9, 1280, None, id_bytes=32)
    assert 5.12e12 < found.protein_bytes < 1.07 * 5.12e12
    assert (found.dna_bytes, found.merged_bytes) == (None, None)
