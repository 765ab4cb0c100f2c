"""Rows spread over several matrices, read in batches and never put together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from classifier.errors import ClassifierError
from classifier.stored import StoredRows

Block = torch.Tensor | StoredRows
"""float32 ``(n_i, d)``, in memory, mapped, or in a file."""

Rows = NDArray[np.int64]
"""Row numbers counted through all blocks, ``(k,)``."""

CHUNK_ROWS = 1024
"""Rows held at once where all rows are passed over; fixed, so that results do not depend on it."""


class Blocks:
    """Matrices of one width, seen as one matrix of ``len(blocks)`` rows.

    Blocks are kept as they come; only the rows that are asked for are copied. Which block a row
    lies in never changes a result.

    Parameters
    ----------
    blocks
        float32 tensors ``(n_i, d)``, at least one, or where in a file such rows lie.

    Raises
    ------
    ClassifierError
        If there is no block, or one is not a float32 matrix, or the widths differ.
    """

    def __init__(self, blocks: Sequence[Block]) -> None:
        if not blocks:
            raise ClassifierError("no features: at least one block of rows is needed")
        for number, block in enumerate(blocks):
            if isinstance(block, torch.Tensor) and (
                block.ndim != 2 or block.dtype != torch.float32
            ):
                raise ClassifierError(
                    f"block {number} must be a float32 matrix (n, d), "
                    f"not {block.dtype} of shape {tuple(block.shape)}"
                )
            if block.shape[1] != blocks[0].shape[1]:
                raise ClassifierError(
                    f"block {number} is {block.shape[1]} wide but block 0 is "
                    f"{blocks[0].shape[1]} wide; features of one embedder have one width"
                )
        self._blocks = tuple(blocks)
        self._ends = np.cumsum([block.shape[0] for block in blocks])

    @property
    def width(self) -> int:
        """Columns ``d`` of every block."""
        return int(self._blocks[0].shape[1])

    def __len__(self) -> int:
        return int(self._ends[-1])

    @property
    def stored(self) -> bool:
        """Whether some rows have to be read from files."""
        return any(isinstance(block, StoredRows) for block in self._blocks)

    def fetch(self, rows: Rows) -> torch.Tensor:
        """Copy the asked rows, in the order asked: float32 ``(k, d)``."""
        if len(self._blocks) == 1 and isinstance(self._blocks[0], torch.Tensor):
            return self._blocks[0].index_select(0, torch.from_numpy(rows))
        fetched = torch.empty(len(rows), self.width)
        for block, here, within in self._homes(rows):
            if isinstance(block, torch.Tensor):
                fetched[torch.from_numpy(here)] = block.index_select(0, torch.from_numpy(within))
            elif here[-1] - here[0] == len(here) - 1:
                block.read(within, fetched[here[0] : here[-1] + 1])
            else:
                apart = torch.empty(len(here), self.width)
                block.read(within, apart)
                fetched[torch.from_numpy(here)] = apart
        return fetched

    def expect(self, rows: Rows) -> None:
        """Tell what will be fetched soon, in ascending order, so that the disk can begin."""
        for block, _, within in self._homes(rows):
            if isinstance(block, StoredRows):
                block.expect(within)

    def chunks(self, rows: Rows) -> Iterator[tuple[Rows, torch.Tensor]]:
        """Pass over the asked rows, at most ``CHUNK_ROWS`` at once."""
        for start in range(0, len(rows), CHUNK_ROWS):
            part = rows[start : start + CHUNK_ROWS]
            yield part, self.fetch(part)

    def _homes(self, rows: Rows) -> Iterator[tuple[Block, Rows, Rows]]:
        """Yield each block that has some of the rows: which of them, and their place within it."""
        home = np.searchsorted(self._ends, rows, side="right")
        for number in np.unique(home):
            block = self._blocks[number]
            here = np.flatnonzero(home == number)
            yield block, here, rows[here] - (int(self._ends[number]) - block.shape[0])


def as_rows(rows: Sequence[int] | Rows | None, blocks: Blocks) -> Rows:
    """Return the asked row numbers, or all of them for ``None``.

    Raises
    ------
    ClassifierError
        If a number is outside the blocks or comes twice.
    """
    if rows is None:
        return np.arange(len(blocks), dtype=np.int64)
    asked = np.asarray(rows, dtype=np.int64)
    outside = asked[(asked < 0) | (asked >= len(blocks))]
    if outside.size:
        raise ClassifierError(f"row {outside[0]} asked, but there are {len(blocks)} rows")
    if np.unique(asked).size != asked.size:
        raise ClassifierError("a row is asked twice; each row counts once")
    return asked


class LabelledRows(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Chosen rows with their labels, as a map-style dataset that a loader reads by the batch.

    ``rows`` are their numbers in ``blocks``, ``labels`` int64 ``(k,)``.

    Parameters
    ----------
    blocks
        Where the features lie.
    labels
        0 or 1 for every row of ``blocks``, ``(n,)``.
    rows
        The rows of this dataset, ``(k,)``.
    """

    def __init__(self, blocks: Blocks, labels: NDArray[np.int64], rows: Rows) -> None:
        self.blocks = blocks
        self.rows = rows
        self.labels = torch.from_numpy(labels[rows])

    def in_memory(self) -> LabelledRows:
        """Return the same rows out of memory: themselves, or a copy if some lie in files."""
        if not self.blocks.stored:
            return self
        blocks = Blocks([self.blocks.fetch(self.rows)])
        return LabelledRows(blocks, self.labels.numpy(), np.arange(len(self), dtype=np.int64))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        features, label = self.__getitems__([index])
        return features[0], label[0]

    def __getitems__(self, indices: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return a whole batch, ``(k, d)`` and ``(k,)``: what torch's loader asks for."""
        chosen = np.asarray(indices, dtype=np.int64)
        return self.blocks.fetch(self.rows[chosen]), self.labels[torch.from_numpy(chosen)]
