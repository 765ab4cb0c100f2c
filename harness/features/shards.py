"""Ids and their vectors, as they stand together in one file."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from embedders.errors import InputError
from harness.features.errors import list_ids

DEFAULT_SHARD_SIZE = 10_000
"""Records per file, as in the original pipeline."""
_CHECKED_ROWS = 1024
"""Rows of a stored matrix that are looked at together."""


class Kind(StrEnum):
    """What the vectors of a file were made from."""

    PROTEIN = "protein"
    NUCLEOTIDE = "nucleotide"
    MERGED = "merged"


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a file a matrix lies: float32, little-endian, row after row from ``offset`` on."""

    path: Path
    offset: int


@dataclass(frozen=True, slots=True)
class Shard:
    """Ids and vectors of one file: row ``i`` of ``matrix`` belongs to ``ids[i]``.

    ``matrix``: float32 ``(n, d)`` on the CPU, all finite; it may be memory-mapped.
    ``labels``: int64 ``(n,)`` of 0 and 1, in merged files only, None for prediction.
    ``place``: where the matrix is mapped from, if that is known. It is then looked at there and not
    in the mapping, whose pages count as this process's memory once they have been touched.
    """

    kind: Kind
    ids: tuple[str, ...]
    matrix: torch.Tensor
    labels: NDArray[np.int64] | None = None
    place: Place | None = None

    def __post_init__(self) -> None:
        rows = len(self.ids)
        if self.matrix.dtype != torch.float32 or self.matrix.ndim != 2:
            raise InputError(
                f"a shard holds a float32 matrix (n, d), not {self.matrix.dtype} "
                f"of shape {tuple(self.matrix.shape)}"
            )
        if rows == 0 or self.matrix.shape[0] != rows:
            raise InputError(f"{rows} ids do not fit a matrix of {self.matrix.shape[0]} rows")
        if self.matrix.shape[1] == 0:
            raise InputError("a vector must be at least 1 wide, not 0")
        if not all(isinstance(each, str) and each for each in self.ids):
            raise InputError("every id must be text and not empty")
        repeated = [each for each, count in Counter(self.ids).items() if count > 1]
        if repeated:
            raise InputError(f"ids that come twice, {list_ids(repeated)}")
        bad = [self.ids[row] for row in self._not_finite()]
        if bad:
            raise InputError(f"vectors with NaN or infinity, {list_ids(bad)}")
        if self.labels is not None:
            if self.kind is not Kind.MERGED:
                raise InputError(f"a {self.kind} file has no place for labels")
            if self.labels.shape != (rows,) or not np.isin(self.labels, (0, 1)).all():
                raise InputError(f"labels must be {rows} times 0 or 1")

    @property
    def width(self) -> int:
        """Columns ``d`` of the matrix."""
        return int(self.matrix.shape[1])

    def _not_finite(self) -> list[int]:
        found: list[int] = []
        for start in range(0, len(self.ids), _CHECKED_ROWS):
            rows = self._rows(start, min(start + _CHECKED_ROWS, len(self.ids)))
            # what is no number makes its row's sum none; looking at each takes twenty times as long
            if not bool(torch.isfinite(rows.sum(dim=1)).all()):
                finite = torch.isfinite(rows).all(dim=1)
                found += [start + row for row in (~finite).nonzero().flatten().tolist()]
        return found

    def _rows(self, start: int, stop: int) -> torch.Tensor:
        if self.place is None:
            return self.matrix[start:stop]
        count = (stop - start) * self.width
        offset = self.place.offset + start * self.width * self.matrix.element_size()
        try:
            read = np.fromfile(self.place.path, dtype="<f4", count=count, offset=offset)
        except OSError as error:
            raise InputError(f"{self.place.path}: cannot be read ({error.strerror})") from error
        if read.size != count:
            raise InputError(
                f"{self.place.path}: ends within row {start + read.size // self.width}"
            )
        return torch.from_numpy(read).reshape(stop - start, self.width)


def labels_of(value: object) -> NDArray[np.int64] | None:
    """Read the labels of a file: a list or tensor of whole numbers, or None.

    Raises
    ------
    InputError
        If they are anything else.
    """
    if value is None:
        return None
    flat = value.tolist() if isinstance(value, torch.Tensor) else value
    if not isinstance(flat, list) or not all(type(label) is int for label in flat):
        raise InputError("labels must be a list of 0 and 1")
    try:
        return np.array(flat, dtype=np.int64)
    except OverflowError as error:
        raise InputError(f"labels must be a list of 0 and 1 ({error})") from error
