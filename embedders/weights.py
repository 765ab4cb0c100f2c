"""Where a checkpoint's weights are: on the hub, in a folder, bundled, or drawn from a seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from embedders import naming
from embedders.checkpoints import Architecture, Checkpoint
from embedders.errors import UnsupportedChoice
from embedders.files import read_architecture, stored_tensors
from embedders.hub import download, folder_revision
from embedders.tensors import CheckedTensors, Formula, drawn

_MINI_FOLDER = Path(__file__).parent / "mini"


@dataclass(slots=True, kw_only=True)
class TensorStream(CheckedTensors):
    """Canonical tensors of one ESM-2 encoder: those of :mod:`embedders.naming`."""

    architecture: Architecture


@dataclass(frozen=True, slots=True)
class Found:
    """Weights as they were asked for: a folder, or for random ones a seed."""

    source: str
    folder: Path | None = None
    revision: str | None = None
    seed: int | None = None


def find_weights(
    checkpoint: Checkpoint,
    weights: str,
    *,
    layers: int | None = None,
    revision: str | None = None,
) -> Found:
    """Find a checkpoint's weights, and fetch them if they are the hub's.

    Parameters
    ----------
    weights
        ``hub``, ``mini``, ``random``, ``random:SEED`` or the path of a folder laid out like the
        hub's.
    layers
        Another depth than the checkpoint's; random weights only.
    revision
        40-hex hub commit instead of the table's; hub only.

    Raises
    ------
    UnsupportedChoice
        If these choices do not go together.
    WeightsError
        If the hub cannot be reached.
    """
    kind, _, argument = weights.partition(":")
    if kind == "random":
        return Found("random", seed=_seed(argument))
    if layers is not None:
        raise UnsupportedChoice(f"layers={layers} needs random weights, not {weights!r}")
    if weights == "mini":
        return Found("mini", _bundled_folder(checkpoint))
    if weights == "hub":
        folder = download(checkpoint, revision)
        return Found("hub", folder, revision=folder_revision(folder))
    if revision is not None:
        raise UnsupportedChoice(f"a revision goes with weights 'hub', not with {weights!r}")
    return Found("folder", Path(weights))


def open_weights(
    checkpoint: Checkpoint,
    weights: str,
    *,
    device: torch.device,
    layers: int | None = None,
    revision: str | None = None,
) -> TensorStream:
    """Find an ESM-2 checkpoint's weights and open them.

    Parameters
    ----------
    weights, layers, revision
        See :func:`find_weights`.
    device
        Where random tensors are drawn; tensors from files come on the CPU.

    Raises
    ------
    UnsupportedChoice
        If these choices do not go together.
    WeightsError
        If nothing usable is found.
    """
    found = find_weights(checkpoint, weights, layers=layers, revision=revision)
    if found.folder is None:
        return random_weights(checkpoint.architecture(layers), found.seed or 0, device)
    return folder_weights(checkpoint, found.folder, source=found.source, revision=found.revision)


def folder_weights(
    checkpoint: Checkpoint, folder: Path, *, source: str, revision: str | None = None
) -> TensorStream:
    """Open a folder of ``config.json`` and safetensors or PyTorch files.

    Raises
    ------
    WeightsError
        If the folder does not hold this checkpoint's architecture, or no weights, or a file that
        differs from the SHA-256 that it must have; see :func:`promised_sha256`.
    """
    architecture = read_architecture(folder, checkpoint.architecture(), checkpoint.name)
    promised = promised_sha256(checkpoint, source)
    entries = (
        (name, tensor)
        for stored, tensor in stored_tensors(folder, expected_sha256=promised)
        if (name := naming.canonical_name(stored)) is not None
    )
    return _stream(architecture, entries, source=source, revision=revision)


def promised_sha256(checkpoint: Checkpoint, source: str) -> str | None:
    """Return the SHA-256 that a weight file must have; None for a folder that the user names.

    Such a folder may hold other weights of the same architecture, e.g. fine-tuned ones.
    """
    return None if source == "folder" else checkpoint.weights_sha256


def random_weights(architecture: Architecture, seed: int, device: torch.device) -> TensorStream:
    """Draw weights as an untrained model has them; see :func:`embedders.tensors.drawn`."""
    entries = drawn(naming.parameter_shapes(architecture), seed, device)
    return _stream(architecture, entries, source="random", seed=seed)


def _stream(
    architecture: Architecture,
    entries: Iterator[tuple[str, torch.Tensor]],
    *,
    source: str,
    revision: str | None = None,
    seed: int | None = None,
) -> TensorStream:
    frequencies = Formula(
        naming.rotary_frequencies(architecture), "rotary frequencies", "10000^(-2i/head width)"
    )
    return TensorStream(
        architecture=architecture,
        model=f"an ESM-2 of {architecture.layers} layers and width {architecture.width}",
        shapes=naming.parameter_shapes(architecture),
        formulas={naming.FREQUENCIES: frequencies},
        source=source,
        entries=entries,
        revision=revision,
        seed=seed,
    )


def _seed(argument: str) -> int:
    if argument in ("", "0"):
        return 0
    if argument.isascii() and argument.isdecimal():
        return int(argument)
    raise UnsupportedChoice(f"random:SEED needs a whole number, not {argument!r}")


def _bundled_folder(checkpoint: Checkpoint) -> Path:
    if checkpoint.bundled is None:
        raise UnsupportedChoice(
            f"{checkpoint.name!r} has no bundled weights; choose 'hub', 'random' or a folder"
        )
    return _MINI_FOLDER / checkpoint.bundled
