"""Vectors as a classifier takes them: one matrix, or memory-mapped blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from harness.features.errors import FeaturesError
from harness.features.folders import EmbeddingFolder, check_unique, open_folder
from harness.features.manifest import Part
from harness.features.shards import Kind, Shard


@dataclass(frozen=True, slots=True)
class Features:
    """Ids and vectors in memory: row ``i`` of ``matrix`` belongs to ``ids[i]``.

    ``matrix``: float32 ``(n, d)`` on the CPU; ``parts``: whose columns they are, in order;
    ``labels``: int64 ``(n,)`` of 0 (host) and 1 (viral) where the files carry them, else None.
    """

    ids: tuple[str, ...]
    matrix: torch.Tensor
    parts: tuple[Part, ...]
    labels: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        if self.matrix.ndim != 2 or len(self.ids) != self.matrix.shape[0]:
            raise FeaturesError(
                f"{len(self.ids)} ids do not fit a matrix of shape {tuple(self.matrix.shape)}"
            )
        if sum(part.width for part in self.parts) != self.matrix.shape[1]:
            raise FeaturesError(
                f"parts {[part.width for part in self.parts]} do not sum to "
                f"{self.matrix.shape[1]} columns"
            )
        if self.labels is not None and self.labels.shape != (len(self.ids),):
            raise FeaturesError(f"{self.labels.shape} labels do not fit {len(self.ids)} ids")


def load_features(*folders: EmbeddingFolder | Path) -> Features:
    """Read folders, one kind alone or merged, into one matrix, in the order given.

    Raises
    ------
    FeaturesError
        If there is no folder or no row, folders are of different embedders or widths, some carry
        labels and some do not, or an id comes twice.
    """
    opened = _opened(folders)
    blocks = [block for folder in opened for block in folder.blocks()]
    _check_together(opened, blocks)
    labels = [block.labels for block in blocks if block.labels is not None]
    return Features(
        ids=tuple(each for block in blocks for each in block.ids),
        matrix=torch.cat([block.matrix for block in blocks]),
        parts=opened[0].parts,
        labels=np.concatenate(labels) if labels else None,
    )


def merged_blocks(folders: Sequence[EmbeddingFolder | Path], *, verify: bool = True) -> list[Shard]:
    """Open merged folders with their vectors left on the disk, for training on many.

    Parameters
    ----------
    folders
        Merged folders or files of the same embedders, e.g. the host's and the viral one.
    verify
        Compare every file with the SHA-256 in its manifest, where there is one.

    Returns
    -------
    list[Shard]
        One block per file: ids, mapped matrix and its place in the file, labels.

    Raises
    ------
    FeaturesError
        As :func:`load_features`, and for a folder that is not merged.
    """
    opened = _opened(folders)
    for folder in opened:
        if folder.kind is not Kind.MERGED:
            raise FeaturesError(
                f"{folder.path}: holds {folder.kind} vectors, not merged ones; merge it with the "
                "other side, or repack it alone"
            )
    blocks = [block for folder in opened for block in folder.blocks(verify=verify)]
    _check_together(opened, blocks)
    return blocks


def block_labels(blocks: Sequence[Shard]) -> NDArray[np.int64]:
    """Return the labels that merged files carry, int64 ``(n,)``, 0 host and 1 viral.

    Raises
    ------
    FeaturesError
        If a block has none.
    """
    labels = [block.labels for block in blocks if block.labels is not None]
    if not labels or len(labels) != len(blocks):
        raise FeaturesError(
            "the merged features carry no labels; merge them with --label, or give a table of "
            "labels and groups"
        )
    return np.concatenate(labels)


def _opened(folders: Sequence[EmbeddingFolder | Path]) -> list[EmbeddingFolder]:
    return [open_folder(each) if isinstance(each, Path) else each for each in folders]


def _check_together(folders: Sequence[EmbeddingFolder], blocks: Sequence[Shard]) -> None:
    if not folders:
        raise FeaturesError("no features given: at least one folder is needed")
    first = folders[0]
    for folder in folders[1:]:
        if folder.parts != first.parts:
            raise FeaturesError(
                f"{first.path} holds {_described(first)}, but {folder.path} holds "
                f"{_described(folder)}; features of different embedders cannot be mixed"
            )
    if not blocks:
        raise FeaturesError(f"{first.path}: holds no vectors")
    labelled = [block.labels is not None for block in blocks]
    if any(labelled) and not all(labelled):
        raise FeaturesError(
            f"{first.path} and the folders beside it: some rows carry labels and some do not; "
            "merge all of them with --label, or none"
        )
    check_unique(tuple(each for block in blocks for each in block.ids), first.path)


def _described(folder: EmbeddingFolder) -> str:
    return " + ".join(
        f"{part.name} ({part.width} wide, {(part.sha256 or 'unrecorded')[:12]})"
        for part in folder.parts
    )
