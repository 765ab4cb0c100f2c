"""Weight files as the hub lays them out: configuration, safetensors or PyTorch, one or many."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from embedders.alphabet import VOCABULARY
from embedders.checkpoints import Architecture
from embedders.errors import WeightsError
from embedders.restricted import NotPlain, load_plain

_SINGLE_FILES = ("model.safetensors", "pytorch_model.bin")
_INDEX_FILES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_SHA256_NAME = re.compile(r"[0-9a-f]{64}")


_CACHE_VARIABLE = "EMBEDDER_MIGRATION_CACHE"


def cache_folder() -> Path:
    """Folder for what can be made again: ``$EMBEDDER_MIGRATION_CACHE``, if that is set.

    Else ``embedder-migration`` in ``$XDG_CACHE_HOME``, or in ``~/.cache``. It need not exist.
    """
    chosen = os.environ.get(_CACHE_VARIABLE)
    if chosen:
        return Path(chosen)
    caches = os.environ.get("XDG_CACHE_HOME")
    return (Path(caches) if caches else Path.home() / ".cache") / "embedder-migration"


def read_json(path: Path) -> dict[str, object]:
    """Read one JSON object.

    Raises
    ------
    WeightsError
        If the file is missing, no JSON or no object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WeightsError(
            f"{path} is missing; a weights folder holds config.json and model.safetensors "
            "(or pytorch_model.bin), as on the hub"
        ) from None
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(value, dict):
        raise WeightsError(f"{path} holds {type(value).__name__}, not a JSON object")
    return value


def read_architecture(folder: Path, expected: Architecture, name: str) -> Architecture:
    """Check ``config.json`` (and ``vocab.txt`` if there) against the checkpoint's row.

    Returns
    -------
    Architecture
        The expected one, with ``token_dropout`` as the file states it.

    Raises
    ------
    WeightsError
        If the folder describes another model; every difference is listed.
    """
    path = folder / "config.json"
    config = read_json(path)
    wanted: dict[str, object] = {
        "num_hidden_layers": expected.layers,
        "hidden_size": expected.width,
        "num_attention_heads": expected.heads,
        "intermediate_size": expected.feed_forward,
        "vocab_size": len(VOCABULARY),
        "position_embedding_type": "rotary",
        "layer_norm_eps": 1e-5,
        "emb_layer_norm_before": False,
    }
    came = {key: config.get(key) for key in wanted}
    came["emb_layer_norm_before"] = bool(came["emb_layer_norm_before"])
    differences = [
        f"{key} is {came[key]!r}, not {value!r}"
        for key, value in wanted.items()
        if came[key] != value
    ]
    if differences:
        raise WeightsError(f"{path} does not describe {name}: {'; '.join(differences)}")
    _check_vocabulary(folder / "vocab.txt")
    return replace(expected, token_dropout=bool(config.get("token_dropout", False)))


def _check_vocabulary(path: Path) -> None:
    if path.is_file() and tuple(path.read_text(encoding="utf-8").split()) != VOCABULARY:
        raise WeightsError(f"{path} is not the ESM-2 vocabulary of {len(VOCABULARY)} tokens")


def stored_tensors(
    folder: Path, *, expected_sha256: str | None = None
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield every tensor of a folder under its stored name, safetensors preferred.

    Tensors are views of mapped files on the CPU, read as they are used.

    Raises
    ------
    WeightsError
        If there is no weight file, one is unreadable, or its SHA-256 is not the promised one:
        ``expected_sha256`` for a single file, and for a file of the hub's cache the hash that
        the hub names it by.
    """
    for path in weight_files(folder):
        verify(path, expected_sha256)
        if path.suffix == ".safetensors":
            yield from _read_safetensors(path)
        else:
            yield from _read_pickle(path)


def weight_files(folder: Path) -> list[Path]:
    """Weight files of a folder: one whole file, or every shard that its index names.

    Raises
    ------
    WeightsError
        If there is none, or a shard is missing.
    """
    for single, index in zip(_SINGLE_FILES, _INDEX_FILES, strict=True):
        if (folder / single).is_file():
            return [folder / single]
        if (folder / index).is_file():
            return _shards(folder / index)
    raise WeightsError(
        f"{folder} holds no weights: expected {' or '.join((*_SINGLE_FILES, *_INDEX_FILES))}"
    )


def _shards(index: Path) -> list[Path]:
    placed = read_json(index).get("weight_map")
    if not isinstance(placed, dict) or not placed:
        raise WeightsError(f"{index} has no weight_map")
    names = sorted({str(name) for name in placed.values()})
    outside = [name for name in names if Path(name).name != name]
    if outside:
        raise WeightsError(f"{index} names files outside its folder: {', '.join(outside)}")
    missing = [name for name in names if not (index.parent / name).is_file()]
    if missing:
        raise WeightsError(f"{index} names files that are not there: {', '.join(missing)}")
    return [index.parent / name for name in names]


def verify(path: Path, expected: str | None = None) -> None:
    """Hash a weight file whose SHA-256 is promised, by its row or by its name in the hub's cache.

    Raises
    ------
    WeightsError
        If it has another one.
    """
    # the hub's cache names a large file's blob by its SHA-256 and links to it
    blob = path.resolve().name if path.is_symlink() else ""
    promised = expected or (blob if _SHA256_NAME.fullmatch(blob) else None)
    if promised is None:
        return
    actual = sha256_of(path)
    if actual != promised:
        raise WeightsError(
            f"{path} has SHA-256 {actual}, not {promised}: it is damaged or was replaced; "
            "delete it and fetch it again"
        )


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read_safetensors(path: Path) -> Iterator[tuple[str, torch.Tensor]]:
    from safetensors import SafetensorError, safe_open  # noqa: PLC0415 - only for such files

    try:
        opened = safe_open(path, framework="pt", device="cpu")
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path} cannot be read: {error}") from None
    with opened as tensors:
        for name in tensors.keys():  # noqa: SIM118 - a safetensors file is no mapping
            yield name, tensors.get_tensor(name)


def _read_pickle(path: Path) -> Iterator[tuple[str, torch.Tensor]]:
    try:
        state = load_plain(path)
    except NotPlain as error:
        raise WeightsError(str(error)) from None
    if not isinstance(state, dict):
        raise WeightsError(f"{path} holds {type(state).__name__}, not tensors by name")
    for name, tensor in state.items():
        if not isinstance(tensor, torch.Tensor):
            raise WeightsError(f"{path}: {name!r} is {type(tensor).__name__}, not a tensor")
        yield str(name), tensor
