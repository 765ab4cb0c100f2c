"""Made-up features of two classes whose best possible accuracy is known, shard by shard.

A row is drawn from a normal distribution around its class's mean. Rows of one contig share a part
of their deviation, so that neighbours are alike as frames of a contig are; columns differ in
centre and scale, as those of embedders do. Whole shards are of one class.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np
import torch
from numpy.typing import NDArray

from harness.features import DEFAULT_SHARD_SIZE, Format, FrameId, Kind, Manifest, Part, Shard
from harness.features.manifest import Source
from harness.features.store import open_store

DNA_COLUMNS, PROTEIN_COLUMNS = 384, 1280
BEST_ACCURACY = 0.92
"""No classifier of single rows is right more often than this, on average over rows."""
CONTIG_ROWS = 8
CONTIG_SHARE = 0.3
"""Of a row's variance: what it shares with the others of its contig."""
FRAMES = ("F1", "F2", "F3", "R1", "R2", "R3")


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """What decides the features, float32 ``(d,)`` each: ``half`` of the way between the classes."""

    half: NDArray[np.float32]
    scale: NDArray[np.float32]
    centre: NDArray[np.float32]

    @classmethod
    def drawn(cls, columns: int = DNA_COLUMNS + PROTEIN_COLUMNS) -> World:
        """Draw one, always the same for a number of columns."""
        generator = np.random.default_rng(0)
        way = generator.standard_normal(columns)
        way *= NormalDist().inv_cdf(BEST_ACCURACY) / np.linalg.norm(way)
        scale = np.exp(generator.normal(np.log(0.3), 0.5, columns))
        centre = generator.normal(0, 0.3, columns)
        return cls(*(each.astype(np.float32) for each in (way, scale, centre)))

    def rows(self, label: int, contigs: int, seed: tuple[int, ...]) -> NDArray[np.float32]:
        """Return the rows of some contigs of one class, ``(contigs * CONTIG_ROWS, d)``."""
        generator = np.random.default_rng((label, *seed))
        shape = (contigs, CONTIG_ROWS, len(self.half))
        rows = generator.standard_normal(shape, dtype=np.float32)
        rows *= np.float32((1 - CONTIG_SHARE) ** 0.5)
        shared = generator.standard_normal((contigs, 1, len(self.half)), dtype=np.float32)
        rows += shared * np.float32(CONTIG_SHARE**0.5)
        rows += self.half if label else -self.half
        rows *= self.scale
        rows += self.centre
        return rows.reshape(-1, len(self.half))


def write_sides(folder: Path, *, rows: int, label: int, seed: int, name: str) -> None:
    """Write ``folder/dna`` and ``folder/protein``: at least so many rows of one class.

    The protein side has each shard's ids in another order, as fair-esm's sorting leaves them.

    Parameters
    ----------
    rows
        Rounded up to whole contigs.
    seed
        With ``label``, decides the rows.
    name
        Begins every contig's name.
    """
    columns = {
        Kind.NUCLEOTIDE: slice(0, DNA_COLUMNS),
        Kind.PROTEIN: slice(DNA_COLUMNS, DNA_COLUMNS + PROTEIN_COLUMNS),
    }
    plans = {kind: _plan(kind, part, rows, label, seed) for kind, part in columns.items()}
    with (
        open_store(folder / "dna", plans[Kind.NUCLEOTIDE]) as dna,
        open_store(folder / "protein", plans[Kind.PROTEIN]) as protein,
    ):
        for number, (ids, matrix) in enumerate(_shards(rows, label, seed, name)):
            order = np.random.default_rng(number).permutation(len(ids))
            left = np.ascontiguousarray(matrix[:, columns[Kind.NUCLEOTIDE]])
            right = np.ascontiguousarray(matrix[order, columns[Kind.PROTEIN]])
            mixed = tuple(ids[place] for place in order)
            dna.add(number, shard=Shard(Kind.NUCLEOTIDE, ids, torch.from_numpy(left)))
            protein.add(number, shard=Shard(Kind.PROTEIN, mixed, torch.from_numpy(right)))
        dna.finish()
        protein.finish()


def _plan(kind: Kind, part: slice, rows: int, label: int, seed: int) -> Manifest:
    width = part.stop - part.start
    digest = hashlib.sha256(f"synthetic {rows} {label} {seed}".encode()).hexdigest()
    return Manifest(
        kind=kind,
        width=width,
        parts=(Part(f"synthetic {kind}", kind, width, "0" * 64),),
        embedder=None,
        sources=(Source("synthetic", digest, rows),),
        shard_size=DEFAULT_SHARD_SIZE,
        format=Format.SAFETENSORS,
    )


def _shards(
    rows: int, label: int, seed: int, name: str
) -> Iterator[tuple[tuple[str, ...], NDArray[np.float32]]]:
    world = World.drawn()
    contigs = -(-rows // CONTIG_ROWS)
    per_shard = DEFAULT_SHARD_SIZE // CONTIG_ROWS
    for number, first in enumerate(range(0, contigs, per_shard)):
        here = range(first, min(first + per_shard, contigs))
        ids = tuple(
            str(FrameId(f"{name}-{contig:06d}", 1 + row // 6, FRAMES[row % 6]))
            for contig in here
            for row in range(CONTIG_ROWS)
        )
        yield ids, world.rows(label, len(here), (seed, number))
