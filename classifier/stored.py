"""Rows of a matrix that lies in a file, read where they lie."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray

from classifier.errors import ClassifierError

_ITEM_BYTES = 4  # float32


@dataclass(frozen=True, slots=True)
class StoredRows:
    """A float32 matrix ``(rows, width)`` that lies in a file, row after row, little-endian.

    Stands where a tensor stands in what :func:`classifier.train` and :func:`classifier.predict`
    take. Its rows are read, not mapped: a mapped page counts as this process's memory from the
    first look at it until the kernel wants it back, and a file that is cut off kills whoever has it
    mapped, where a read says so.

    ``offset``: bytes before the first row.
    """

    path: Path
    offset: int
    rows: int
    width: int

    def __post_init__(self) -> None:
        if self.offset < 0 or self.rows < 0 or self.width < 1:
            raise ClassifierError(
                f"{self.path}: no place for {self.rows} rows, {self.width} wide, behind "
                f"{self.offset} bytes"
            )
        if sys.byteorder != "little":
            raise ClassifierError(
                f"{self.path}: its rows are little-endian, but this machine is not; "
                "give the features as tensors"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, as of a tensor."""
        return self.rows, self.width

    def read(self, rows: NDArray[np.int64], out: torch.Tensor) -> None:
        """Copy rows into ``out``, float32 ``(len(rows), width)`` without gaps, in the order asked.

        Neighbours that are asked one after the other are read at once, so ascending rows are
        quickest.

        Raises
        ------
        ClassifierError
            If the file is gone, cannot be read, or ends before a row does.
        """
        if not len(rows):
            return
        memory = out.numpy().data.cast("B")
        size = self.width * _ITEM_BYTES
        try:
            with self.path.open("rb", buffering=0) as file:
                for start, stop in _runs(rows):
                    file.seek(self.offset + int(rows[start]) * size)
                    self._fill(file, memory[start * size : stop * size])
        except OSError as error:
            raise ClassifierError(f"{self.path}: cannot be read ({error.strerror})") from error

    def expect(self, rows: NDArray[np.int64]) -> None:
        """Let the kernel begin to read ascending rows that will be asked soon, where it can.

        It goes on while this process computes; a file that is in memory already costs nothing.
        """
        if not len(rows) or not hasattr(os, "posix_fadvise"):
            return
        size = self.width * _ITEM_BYTES
        try:
            with self.path.open("rb", buffering=0) as file:
                for start, stop in _runs(rows):
                    first = self.offset + int(rows[start]) * size
                    length = (stop - start) * size
                    os.posix_fadvise(file.fileno(), first, length, os.POSIX_FADV_WILLNEED)
        except OSError as error:
            raise ClassifierError(f"{self.path}: cannot be read ({error.strerror})") from error

    def _fill(self, file: BinaryIO, memory: memoryview) -> None:
        while memory:
            count = file.readinto(memory)  # type: ignore[attr-defined]  # of every raw file
            if not count:
                raise ClassifierError(
                    f"{self.path}: ends within its rows; it was cut off since it was opened, "
                    "make it again"
                )
            memory = memory[count:]


def _runs(rows: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Cut places into runs whose rows follow each other in the file."""
    cuts = (np.flatnonzero(np.diff(rows) != 1) + 1).tolist()
    return list(zip([0, *cuts], [*cuts, len(rows)], strict=True))
