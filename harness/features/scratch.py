"""Vectors set down in an unnamed file, to be taken up again in any order."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import IO

import numpy as np
import torch
from numpy.typing import NDArray

from harness.features.errors import FolderError

_ITEM_BYTES = 4  # float32


class Scratch:
    """Float32 rows of one width on the disk; made by :func:`open_scratch`.

    They are written and read, never mapped: pages of a mapping that have been touched count as this
    process's memory, and rows that are taken in any order touch all of them in the end.
    """

    def __init__(self, file: IO[bytes], folder: Path, width: int) -> None:
        self._file = file
        self._folder = folder
        self._width = width

    def append(self, matrix: torch.Tensor) -> None:
        """Write rows behind those that are there.

        Raises
        ------
        FolderError
            If the disk refuses, e.g. because it is full.
        """
        try:
            self._file.write(matrix.contiguous().numpy().tobytes())
            self._file.flush()
        except OSError as error:
            raise FolderError(
                f"{self._folder}: has no room for a copy of the DNA vectors "
                f"({error.strerror or error}); free some disk and run the same command again"
            ) from error

    def take(self, rows: NDArray[np.int64]) -> torch.Tensor:
        """Return rows in the order asked, float32 ``(len(rows), width)``.

        Raises
        ------
        FolderError
            If the disk refuses.
        """
        if not len(rows):
            return torch.empty(0, self._width)
        order = np.argsort(rows, kind="stable")
        ascending = rows[order]
        read = np.empty((len(rows), self._width), dtype=np.float32)
        cuts = [0, *(np.flatnonzero(np.diff(ascending) != 1) + 1).tolist(), len(rows)]
        try:
            for start, stop in pairwise(cuts):
                self._file.seek(int(ascending[start]) * self._width * _ITEM_BYTES)
                self._read(read[start:stop].data.cast("B"))
        except OSError as error:
            raise FolderError(
                f"{self._folder}: the copy of the DNA vectors cannot be read "
                f"({error.strerror or error}); run the same command again"
            ) from error
        taken = np.empty_like(read)
        taken[order] = read
        return torch.from_numpy(taken)

    def _read(self, memory: memoryview) -> None:
        if self._file.readinto(memory) < len(memory):  # type: ignore[attr-defined]  # binary files
            raise OSError("it ends too soon")


@contextmanager
def open_scratch(folder: Path, width: int) -> Iterator[Scratch]:
    """Make an unnamed file in a folder; it is gone at the end, however the process ends."""
    with tempfile.TemporaryFile(dir=folder, prefix=".dna-", suffix=".partial", buffering=0) as file:
        yield Scratch(file, folder, width)
