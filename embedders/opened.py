"""An ESM-2 encoder as a model that may be changed, and changed weights as the hub lays them out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from embedders import naming
from embedders.alphabet import MASK, PADDING, VOCABULARY
from embedders.checkpoints import Architecture, Checkpoint
from embedders.contract import WINDOW_RESIDUES, WeightsIdentity
from embedders.errors import WeightsError
from embedders.placement import choose_placement
from embedders.runtimes import RUNTIMES
from embedders.runtimes.huggingface import HuggingFaceEncoder, build
from embedders.weights import TensorStream, open_weights

_LAYER_FREQUENCIES = "encoder.layer.{}.attention.self.rotary_embeddings.inv_freq"
"""How the hub's files name them, one copy for each layer."""


@dataclass(frozen=True, slots=True)
class OpenedEncoder:
    """transformers' ``EsmModel`` filled with a checkpoint's weights, as ``encoder.model``.

    Its parameters ask for no gradient. ``encoder.pooled`` computes through whatever is put into the
    model later, and lets gradients through.
    """

    encoder: HuggingFaceEncoder
    architecture: Architecture
    identity: WeightsIdentity


def open_encoder(
    row: Checkpoint,
    *,
    weights: str | None = None,
    device: str = "auto",
    dtype: str | None = None,
    revision: str | None = None,
    layers: int | None = None,
) -> OpenedEncoder:
    """Load a checkpoint for a caller who changes it; every choice as in :func:`embedders.load`.

    Raises
    ------
    InputError
        If this is no ESM-2 checkpoint.
    UnknownName, UnsupportedChoice
        If choices are in no table or do not go together.
    WeightsError
        If the weights cannot be found or do not fit.
    """
    placement = choose_placement(RUNTIMES["huggingface"], device, dtype or "float32", None)
    stream = open_tensors(
        row, weights=weights, device=placement.device, revision=revision, layers=layers
    )
    encoder = build(stream.architecture, stream, placement)
    return OpenedEncoder(encoder, stream.architecture, stream.identity())


def open_tensors(
    row: Checkpoint,
    *,
    weights: str | None = None,
    device: torch.device | None = None,
    revision: str | None = None,
    layers: int | None = None,
) -> TensorStream:
    """Return a checkpoint's tensors by their canonical names, as they are stored.

    Parameters
    ----------
    row, weights, revision, layers
        As in :func:`embedders.load`.
    device
        Where random tensors are drawn, the CPU by default; those from files are on the CPU.

    Raises
    ------
    InputError
        If this is no ESM-2 checkpoint.
    UnsupportedChoice
        If choices do not go together.
    WeightsError
        If the weights cannot be found or do not fit.
    """
    row.architecture()  # refuses another family before anything is read
    wanted = row.default_weights if weights is None else weights
    where = device or torch.device("cpu")
    return open_weights(row, wanted, device=where, layers=layers, revision=revision)


def hub_config(architecture: Architecture) -> dict[str, object]:
    """Return the ``config.json`` of an encoder, as transformers reads it."""
    return {
        "architectures": ["EsmModel"],
        "model_type": "esm",
        "num_hidden_layers": architecture.layers,
        "hidden_size": architecture.width,
        "num_attention_heads": architecture.heads,
        "intermediate_size": architecture.feed_forward,
        "vocab_size": len(VOCABULARY),
        "pad_token_id": PADDING,
        "mask_token_id": MASK,
        "position_embedding_type": "rotary",
        "max_position_embeddings": WINDOW_RESIDUES + 2,
        "emb_layer_norm_before": False,
        "layer_norm_eps": 1e-5,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "token_dropout": architecture.token_dropout,
        "is_folding_model": False,
        "torch_dtype": "float32",
    }


def hub_tensors(
    architecture: Architecture, tensors: Iterable[tuple[str, torch.Tensor]]
) -> dict[str, torch.Tensor]:
    """Return canonical tensors as a file of the hub's holds them, float32 and on the CPU.

    The rotary frequencies come once for each layer: they are part of the weights, because
    published ones are rounded.

    Raises
    ------
    WeightsError
        If a tensor is missing or has another shape.
    """
    wanted = {**naming.parameter_shapes(architecture), naming.FREQUENCIES: None}
    held: dict[str, torch.Tensor] = {}
    for name, tensor in tensors:
        shape = wanted.pop(name, ())
        if shape is not None and tuple(tensor.shape) != shape:
            raise WeightsError(f"{name} {tuple(tensor.shape)} has no place in the model")
        stored = [name]
        if name == naming.FREQUENCIES:
            stored = [_LAYER_FREQUENCIES.format(layer) for layer in range(architecture.layers)]
        for place in stored:
            held[place] = tensor.detach().to("cpu", torch.float32, copy=True).contiguous()
    if wanted:
        raise WeightsError(f"missing {', '.join(wanted)}; give every tensor of the encoder")
    return held


def vocabulary_text() -> str:
    """Return ``vocab.txt``: a token on each line."""
    return "\n".join(VOCABULARY) + "\n"
