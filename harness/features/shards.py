"""The original pipeline's ``.pt`` files: some ten thousand ids and their vectors each.

Three forms, all of them dictionaries that ``torch.load(weights_only=True)`` takes:

- protein ``{'proteins': [id], 'data': [tensor(d)]}``
- nucleotide ``{'nucleotide': [id], 'data': [{'label': id, 'mean_representation': [float]}]}``
- merged ``{'ids': [id], 'data': tensor(n, d), 'labels': [0 or 1]}``, without labels for prediction
"""

from __future__ import annotations

import pickle
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from embedders.errors import InputError
from harness.features.errors import ShardCorrupt, list_ids
from harness.files import write_atomically

DEFAULT_SHARD_SIZE = 10_000
"""Rows per file, as in the original pipeline."""

_ZIP_MAGIC = b"PK"
# what torch.load and its restricted unpickler raise on damaged or foreign bytes
_LOAD_FAILURES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    struct.error,
)


class Kind(StrEnum):
    """Which of the three forms a file has."""

    PROTEIN = "protein"
    NUCLEOTIDE = "nucleotide"
    MERGED = "merged"


_ID_KEYS = {Kind.PROTEIN: "proteins", Kind.NUCLEOTIDE: "nucleotide", Kind.MERGED: "ids"}


@dataclass(frozen=True, slots=True)
class Shard:
    """Ids and vectors of one file: row ``i`` of ``matrix`` belongs to ``ids[i]``.

    ``matrix``: float32 ``(n, d)`` on the CPU, all finite; a merged file's may be memory-mapped.
    ``labels``: int64 ``(n,)`` of 0 and 1, in merged files only, None for prediction.
    """

    kind: Kind
    ids: tuple[str, ...]
    matrix: torch.Tensor
    labels: NDArray[np.int64] | None = None

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
        finite = torch.isfinite(self.matrix).all(dim=1)
        if not bool(finite.all()):
            bad = [self.ids[row] for row in (~finite).nonzero().flatten().tolist()]
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


def write_shard(path: Path, shard: Shard) -> None:
    """Write a shard in its legacy form, whole or not at all.

    The same shard gives the same bytes, whatever the file is called. Only tensors, str, int and
    float go into the file, so that a restricted unpickler takes it.
    """
    content: dict[str, Any] = {_ID_KEYS[shard.kind]: [str(each) for each in shard.ids]}
    matrix = shard.matrix.detach().cpu()
    if shard.kind is Kind.MERGED:
        content["data"] = _own_storage(matrix)
        if shard.labels is not None:
            content["labels"] = [int(label) for label in shard.labels]
    elif shard.kind is Kind.PROTEIN:
        content["data"] = [_own_storage(row) for row in matrix]
    else:
        content["data"] = [
            {"label": each, "mean_representation": row.tolist()}
            for each, row in zip(content["nucleotide"], matrix, strict=True)
        ]

    def write(partial: Path) -> None:
        # given a path, torch.save would write that path's random name into the file
        with partial.open("wb") as file:
            torch.save(content, file)

    write_atomically(path, write)


def read_shard(path: Path) -> Shard:
    """Read a file of any of the three forms.

    Nothing but tensors and plain values is unpickled. ``data`` may hold tensors or lists of
    numbers of any floating dtype; they come back as float32. A merged file's matrix stays
    memory-mapped where its dtype allows.

    Raises
    ------
    ShardCorrupt
        If the file is missing, damaged, of another form, or contradicts itself.
    """
    content = _load(path)
    kind = next((kind for kind, key in _ID_KEYS.items() if key in content), None)
    if kind is None:
        raise ShardCorrupt(
            path, f"keys {sorted(map(str, content))} are not of an embedding or merged file"
        )
    try:
        ids = _ids(content[_ID_KEYS[kind]])
        if kind is Kind.MERGED:
            return Shard(kind, ids, _float32(content.get("data")), _labels(content.get("labels")))
        rows = content.get("data")
        if not isinstance(rows, Sequence) or isinstance(rows, str):
            raise InputError(f"'data' must be a list, not {type(rows).__name__}")
        if kind is Kind.NUCLEOTIDE:
            rows = _nucleotide_rows(ids, rows)
        return Shard(kind, ids, _stack(rows))
    except InputError as error:
        raise ShardCorrupt(path, str(error)) from error


def _load(path: Path) -> Mapping[Any, Any]:
    try:
        with path.open("rb") as file:
            zipped = file.read(len(_ZIP_MAGIC)) == _ZIP_MAGIC
        # files from before torch 1.6 are no archives and cannot be mapped
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except FileNotFoundError as error:
        raise ShardCorrupt(path, "there is no such file") from error
    except _LOAD_FAILURES as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ShardCorrupt(
            path, f"cannot be read as tensors and plain values ({reason})"
        ) from error
    if not isinstance(content, dict):
        raise ShardCorrupt(path, f"must hold a dictionary, not {type(content).__name__}")
    return content


def _own_storage(tensor: torch.Tensor) -> torch.Tensor:
    """Copy, because a saved view takes the whole tensor it looks at into the file."""
    return tensor.clone(memory_format=torch.contiguous_format)


def _ids(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise InputError(f"ids must be a list, not {type(value).__name__}")
    return tuple(value)


def _labels(value: object) -> NDArray[np.int64] | None:
    if value is None:
        return None
    flat = value.tolist() if isinstance(value, torch.Tensor) else value
    if not isinstance(flat, list) or not all(type(label) is int for label in flat):
        raise InputError("labels must be a list of 0 and 1")
    return np.array(flat, dtype=np.int64)


def _nucleotide_rows(ids: tuple[str, ...], rows: Sequence[object]) -> list[object]:
    vectors: list[object] = []
    labels: list[object] = []
    for row in rows:
        if not isinstance(row, dict) or not {"label", "mean_representation"} <= row.keys():
            raise InputError("every row of 'data' must have 'label' and 'mean_representation'")
        labels.append(row["label"])
        vectors.append(row["mean_representation"])
    if tuple(labels) != ids:
        raise InputError("the labels of the rows are not the ids of 'nucleotide', in their order")
    return vectors


def _float32(value: object) -> torch.Tensor:
    if not isinstance(value, torch.Tensor) or not _is_plain(value):
        raise InputError(f"'data' must be floating numbers, not {type(value).__name__}")
    return value.detach().to(torch.float32)


def _is_plain(tensor: torch.Tensor) -> bool:
    """Tell whether a tensor holds real numbers here: a file may also name sparse or meta ones."""
    return (
        tensor.is_floating_point()
        and tensor.layout is torch.strided
        and tensor.device.type == "cpu"
    )


def _stack(rows: Sequence[object]) -> torch.Tensor:
    """Copy rows, each a tensor ``(d,)`` or a list of numbers, into float32 ``(n, d)``."""
    matrix: torch.Tensor | None = None
    for number, row in enumerate(rows):
        vector = _vector(row)
        if matrix is None:
            matrix = torch.empty(len(rows), vector.shape[0])
        if vector.shape != matrix.shape[1:]:
            raise InputError(
                f"row {number} is {vector.shape[0]} wide, but row 0 is {matrix.shape[1]} wide"
            )
        matrix[number] = vector
    if matrix is None:
        raise InputError("there is no row in it")
    return matrix


def _vector(row: object) -> torch.Tensor:
    if isinstance(row, list):
        try:
            row = torch.tensor(row, dtype=torch.float32)
        except (TypeError, ValueError, RuntimeError) as error:
            raise InputError(f"a row must be a list of numbers ({error})") from error
    if not isinstance(row, torch.Tensor) or not _is_plain(row) or row.ndim != 1:
        raise InputError("every row must be a vector of floating numbers")
    return row.detach()
