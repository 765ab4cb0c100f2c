"""The original pipeline's ``.pt`` files: some ten thousand ids and their vectors each.

Three forms, all of them dictionaries that ``torch.load(weights_only=True)`` takes:

- protein ``{'proteins': [id], 'data': [tensor(d)]}``
- nucleotide ``{'nucleotide': [id], 'data': [{'label': id, 'mean_representation': [float]}]}``
- merged ``{'ids': [id], 'data': tensor(n, d), 'labels': [0 or 1]}``, without labels for prediction
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import torch

from embedders.errors import InputError
from embedders.restricted import is_plain, load_plain
from harness.features.places import place_in_archive
from harness.features.shards import Kind, Shard, labels_of

_ID_KEYS = {Kind.PROTEIN: "proteins", Kind.NUCLEOTIDE: "nucleotide", Kind.MERGED: "ids"}


def write_original(file: IO[bytes], shard: Shard) -> None:
    """Write a shard in its original form.

    The same shard gives the same bytes. Only tensors, str, int and float go into the file, so that
    a restricted unpickler takes it.

    Raises
    ------
    OSError
        If the disk refuses.
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
    try:
        torch.save(content, file)
    except RuntimeError as error:
        # torch reports a failed write as a fault of its archive; the disk's own word is behind it
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise


def read_original(path: Path) -> Shard:
    """Read a file of any of the three forms.

    ``data`` may hold tensors or lists of numbers of any floating dtype; they come back as float32.
    A merged file's matrix stays memory-mapped where its dtype allows.

    Raises
    ------
    InputError
        If the file is damaged, of another form, or contradicts itself.
    """
    content = load_plain(path)
    if not isinstance(content, Mapping):
        raise InputError(f"must hold a dictionary, not {type(content).__name__}")
    kind = next((kind for kind, key in _ID_KEYS.items() if key in content), None)
    if kind is None:
        raise InputError(
            f"keys {sorted(map(repr, content))} are not of an embedding or merged file"
        )
    ids = _ids(content[_ID_KEYS[kind]])
    if kind is Kind.MERGED:
        stored = _floating(content.get("data"))
        place = place_in_archive(path, stored)
        labels = labels_of(content.get("labels"))
        return Shard(kind, ids, stored.to(torch.float32), labels, place)
    rows = content.get("data")
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        raise InputError(f"'data' must be a list, not {type(rows).__name__}")
    if kind is Kind.NUCLEOTIDE:
        rows = _nucleotide_rows(ids, rows)
    return Shard(kind, ids, _stack(rows))


def _own_storage(tensor: torch.Tensor) -> torch.Tensor:
    """Copy, because a saved view takes the whole tensor it looks at into the file."""
    return tensor.clone(memory_format=torch.contiguous_format)


def _ids(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise InputError(f"ids must be a list, not {type(value).__name__}")
    return tuple(value)


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


def _floating(value: object) -> torch.Tensor:
    if not isinstance(value, torch.Tensor) or not is_plain(value):
        raise InputError(f"'data' must be floating numbers, not {type(value).__name__}")
    return value.detach()


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
    if not isinstance(row, torch.Tensor) or not is_plain(row) or row.ndim != 1:
        raise InputError("every row must be a vector of floating numbers")
    return row.detach()
