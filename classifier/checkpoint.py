"""Trained classifiers on disk: safetensors and JSON, nothing that could run code."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from classifier.errors import CheckpointError, LayoutMismatch
from classifier.layout import FeatureLayout, check_layout
from classifier.network import MLPClassifier, Standardisation
from classifier.origin import Origin
from classifier.recipes import Epoch, Recipe
from classifier.training import TrainedClassifier

FORMAT = "embedder-migration classifier, 1"
TENSORS_NAME = "classifier.safetensors"
RECORD_NAME = "classifier.json"


def save(folder: Path, trained: TrainedClassifier, layout: FeatureLayout) -> None:
    """Write a checkpoint: ``classifier.safetensors``, then ``classifier.json`` with its hash.

    Each file gets its name only once it is whole. A checkpoint of the same layout is replaced.

    Raises
    ------
    LayoutMismatch
        If the layout does not fit the network, or the folder holds a classifier for other
        features: one arm of a migration never overwrites the other.
    CheckpointError
        If the folder cannot be written.
    """
    from safetensors.torch import save as to_bytes  # noqa: PLC0415

    if layout.width != trained.width:
        raise LayoutMismatch(
            f"the classifier is {trained.width} wide but the features are {layout}"
        )
    if (folder / RECORD_NAME).exists():
        check_layout(load(folder)[1], layout)
    tensors = {name: tensor.contiguous() for name, tensor in _state(trained).items()}
    payload = to_bytes(tensors)
    record = {
        "format": FORMAT,
        "tensors_sha256": hashlib.sha256(payload).hexdigest(),
        "width": trained.width,
        "layout": asdict(layout),
        "recipe": asdict(trained.recipe),
        "seed": trained.seed,
        "best_epoch": trained.best_epoch,
        "rows_trained": trained.rows_trained,
        "rows_validated": trained.rows_validated,
        "history": [asdict(epoch) for epoch in trained.history],
    }
    if trained.origin is not None:
        record["origin"] = asdict(trained.origin)
    text = json.dumps(record, indent=2, allow_nan=False) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_whole(folder / TENSORS_NAME, payload)
        _write_whole(folder / RECORD_NAME, text.encode())
    except OSError as error:
        raise CheckpointError(f"cannot write a classifier to {folder}: {error}") from error


def load(folder: Path) -> tuple[TrainedClassifier, FeatureLayout]:
    """Read a checkpoint and the layout of the features it wants.

    Raises
    ------
    CheckpointError
        If a file is missing, of an unknown format, or not what its hash promised.
    """
    from cattrs import BaseValidationError, Converter  # noqa: PLC0415
    from safetensors import SafetensorError  # noqa: PLC0415
    from safetensors.torch import load as from_bytes  # noqa: PLC0415

    try:
        payload = (folder / TENSORS_NAME).read_bytes()
        record = json.loads((folder / RECORD_NAME).read_bytes())
    except OSError as error:
        raise CheckpointError(f"no classifier in {folder}: {error}") from error
    except ValueError as error:
        raise CheckpointError(f"{folder / RECORD_NAME} is not JSON: {error}") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise CheckpointError(f"{folder / RECORD_NAME} is not of the format {FORMAT!r}")
    digest = hashlib.sha256(payload).hexdigest()
    if digest != record.get("tensors_sha256"):
        raise CheckpointError(
            f"{folder / TENSORS_NAME} has SHA-256 {digest[:12]}, but {RECORD_NAME} promises "
            f"{str(record.get('tensors_sha256'))[:12]}: it was changed or only half written; "
            f"train again or copy it again"
        )
    converter = Converter(forbid_extra_keys=True)
    try:
        tensors = from_bytes(payload)
        layout = converter.structure(record["layout"], FeatureLayout)
        trained = _rebuild(
            tensors,
            recipe=converter.structure(record["recipe"], Recipe),
            history=converter.structure(record["history"], tuple[Epoch, ...]),
            origin=converter.structure(record["origin"], Origin) if "origin" in record else None,
            **{
                key: int(record[key])
                for key in ("seed", "best_epoch", "rows_trained", "rows_validated")
            },
        )
    except (SafetensorError, BaseValidationError, KeyError, TypeError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise CheckpointError(f"the classifier in {folder} is incomplete: {first}") from error
    if layout.width != trained.width:
        raise CheckpointError(
            f"the classifier in {folder} is {trained.width} wide but its layout says {layout}"
        )
    return trained, layout


def _state(trained: TrainedClassifier) -> dict[str, torch.Tensor]:
    state = {f"network.{name}": t for name, t in trained.network.state_dict().items()}
    if trained.standardisation is not None:
        own = trained.standardisation.state_dict()
        state |= {f"standardisation.{name}": t for name, t in own.items()}
    return state


def _rebuild(
    tensors: dict[str, torch.Tensor],
    *,
    recipe: Recipe,
    history: tuple[Epoch, ...],
    origin: Origin | None,
    **counts: Any,  # noqa: ANN401  the whole numbers of TrainedClassifier
) -> TrainedClassifier:
    network = MLPClassifier(tensors["network.hidden.weight"].shape[1])
    standardisation = None
    if recipe.standardise:
        standardisation = Standardisation(
            tensors.pop("standardisation.mean"), tensors.pop("standardisation.scale")
        ).eval()
    try:
        network.load_state_dict(
            {name.removeprefix("network."): tensor for name, tensor in tensors.items()}
        )
    except RuntimeError as error:
        raise CheckpointError(str(error)) from error
    return TrainedClassifier(
        network=network.eval(),
        standardisation=standardisation,
        recipe=recipe,
        history=history,
        origin=origin,
        **counts,
    )


def _write_whole(path: Path, content: bytes) -> None:
    part = path.with_name(f"{path.name}.part")
    with part.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)
    if os.name == "posix":  # elsewhere a folder cannot be opened, and a rename is journalled
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
