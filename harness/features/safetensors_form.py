"""Shards as safetensors: no pickle, mapped whole, the same layout for all three kinds.

One tensor, ``data`` (float32 ``(n, d)``); ids, kind and labels lie in the header as JSON under the
one key ``shard``. One key, because the library writes several in no promised order, and the same
shard must give the same bytes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO

import torch

from embedders.errors import InputError
from embedders.restricted import is_plain
from harness.features.places import place_behind_header
from harness.features.shards import Kind, Shard, labels_of

_HEADER_KEY = "shard"
_SCHEMA = "embedding-shard/1"


def write_safetensors(file: IO[bytes], shard: Shard) -> None:
    """Write a shard.

    Raises
    ------
    OSError
        If the disk refuses.
    """
    from safetensors.torch import save  # noqa: PLC0415 - only where this form is asked for

    header = {
        "schema": _SCHEMA,
        "kind": shard.kind.value,
        "ids": list(shard.ids),
        "labels": None if shard.labels is None else shard.labels.tolist(),
    }
    text = json.dumps(header)
    file.write(save({"data": shard.matrix.detach().contiguous()}, {_HEADER_KEY: text}))


def read_safetensors(path: Path) -> Shard:
    """Read a shard; its matrix stays mapped to the file.

    Raises
    ------
    InputError
        If the file is damaged, of another layout, or contradicts itself.
    """
    from safetensors import SafetensorError, safe_open  # noqa: PLC0415

    try:
        with safe_open(path, framework="pt", device="cpu") as tensors:
            header = (tensors.metadata() or {}).get(_HEADER_KEY)
            names = list(tensors.keys())
            if header is None or names != ["data"]:
                raise InputError(f"tensors {names} and no ids: not a shard of this project")
            matrix: torch.Tensor = tensors.get_tensor("data")
    except (OSError, SafetensorError) as error:
        raise InputError(f"cannot be read as safetensors ({error})") from error
    if not is_plain(matrix):
        raise InputError(f"'data' must be floating numbers, not {matrix.dtype}")
    try:
        fields = json.loads(header)
    except (ValueError, RecursionError) as error:
        raise InputError(f"its header is no JSON ({error})") from error
    if not isinstance(fields, dict) or fields.get("schema") != _SCHEMA:
        raise InputError(f"its header is not of the schema {_SCHEMA!r}")
    ids, kind = fields.get("ids"), fields.get("kind")
    if kind not in list(Kind) or not isinstance(ids, list):
        raise InputError("its header must hold 'kind' and the list 'ids'")
    labels = labels_of(fields.get("labels"))
    place = place_behind_header(path, matrix)
    return Shard(Kind(kind), tuple(ids), matrix.to(torch.float32), labels, place)
