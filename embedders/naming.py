"""Names and shapes of an ESM-2 encoder's tensors, and how two libraries call them.

The canonical names are those of transformers' ``EsmModel``, without the ``esm.`` prefix that its
task models add. The rotary frequencies are kept under one name although they could be computed:
the published files hold them rounded to half precision, both libraries use what the file holds,
and exact ones would shift the angles of distant residues.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch

from embedders.alphabet import VOCABULARY
from embedders.checkpoints import Architecture
from embedders.errors import InputError

FREQUENCIES = "rotary_embeddings.inv_freq"
"""Canonical name of the rotary frequencies ``(width / heads / 2,)``, one for all layers."""

_ROTARY_BASE = 10_000.0

_LAYER_PARTS = {
    "attention.self.query": "self_attn.q_proj",
    "attention.self.key": "self_attn.k_proj",
    "attention.self.value": "self_attn.v_proj",
    "attention.output.dense": "self_attn.out_proj",
    "attention.LayerNorm": "self_attn_layer_norm",
    "intermediate.dense": "fc1",
    "output.dense": "fc2",
    "LayerNorm": "final_layer_norm",
}
_FAIR_ESM_PARTS = {theirs: ours for ours, theirs in _LAYER_PARTS.items()}
_OUTSIDE_LAYERS = {
    "embeddings.word_embeddings.weight": "embed_tokens.weight",
    "encoder.emb_layer_norm_after.weight": "emb_layer_norm_after.weight",
    "encoder.emb_layer_norm_after.bias": "emb_layer_norm_after.bias",
}
_FAIR_ESM_OUTSIDE = {theirs: ours for ours, theirs in _OUTSIDE_LAYERS.items()}

_CANONICAL_LAYER = re.compile(r"encoder\.layer\.(\d+)\.(.+)\.(weight|bias)")
_FAIR_ESM_LAYER = re.compile(r"layers\.(\d+)\.(.+)\.(weight|bias)")
# transformers 5.23 saves the one copy under a literal asterisk in place of the layer
_LAYER_FREQUENCIES = re.compile(
    r"encoder\.layer\.(?:\d+|\*)\.attention\.self\.rotary_embeddings\.inv_freq"
)
# transformers reads both spellings of a norm, and some of its releases write the older one
_OLD_NORM_NAMES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
# what files carry beside the encoder: task heads, and buffers that rotary models never read
_NOT_NEEDED = (
    *("lm_head.", "contact_head.", "classifier.", "pooler."),
    *("embeddings.position_ids", "embeddings.position_embeddings."),
)


def parameter_shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """Canonical name and shape of every learnt tensor, in the order of the computation."""
    width, inner = architecture.width, architecture.feed_forward
    part_shapes = {
        "attention.LayerNorm": (width,),
        "attention.self.query": (width, width),
        "attention.self.key": (width, width),
        "attention.self.value": (width, width),
        "attention.output.dense": (width, width),
        "LayerNorm": (width,),
        "intermediate.dense": (inner, width),
        "output.dense": (width, inner),
    }
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (len(VOCABULARY), width)
    }
    for layer in range(architecture.layers):
        for part, shape in part_shapes.items():
            shapes[f"encoder.layer.{layer}.{part}.weight"] = shape
            shapes[f"encoder.layer.{layer}.{part}.bias"] = shape[:1]
    shapes["encoder.emb_layer_norm_after.weight"] = (width,)
    shapes["encoder.emb_layer_norm_after.bias"] = (width,)
    return shapes


def rotary_frequencies(architecture: Architecture) -> torch.Tensor:
    """Rotary frequencies by their formula, ``10000^(-2i / head width)`` (RoFormer, Su et al.).

    Returns
    -------
    torch.Tensor
        float32 ``(width / heads / 2,)``.
    """
    head_width = architecture.width // architecture.heads
    exponent = torch.arange(0, head_width, 2, dtype=torch.float32) / head_width
    return 1.0 / (_ROTARY_BASE**exponent)


def canonical_name(stored: str) -> str | None:
    """Canonical name of a tensor as a hub file names it; ``None`` if the encoder has no use for it.

    A name that is not recognised comes back as it is, without prefix, for the caller to report.

    Examples
    --------
    >>> canonical_name("esm.encoder.layer.0.LayerNorm.bias")
    'encoder.layer.0.LayerNorm.bias'
    >>> canonical_name("lm_head.dense.weight") is None
    True
    """
    name = stored.removeprefix("esm.")
    if name.startswith(_NOT_NEEDED):
        return None
    if _LAYER_FREQUENCIES.fullmatch(name):
        return FREQUENCIES
    for old, new in _OLD_NORM_NAMES.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def to_fair_esm(name: str) -> str:
    """Name of a canonical tensor in fair-esm's ``ESM2``.

    Raises
    ------
    InputError
        If the name is not canonical. The rotary frequencies have no single counterpart there.

    Examples
    --------
    >>> to_fair_esm("encoder.layer.3.attention.self.query.weight")
    'layers.3.self_attn.q_proj.weight'
    """
    if name in _OUTSIDE_LAYERS:
        return _OUTSIDE_LAYERS[name]
    match = _CANONICAL_LAYER.fullmatch(name)
    if match and match[2] in _LAYER_PARTS:
        return f"layers.{match[1]}.{_LAYER_PARTS[match[2]]}.{match[3]}"
    raise InputError(f"{name!r} is no canonical name of an ESM-2 tensor")


def from_fair_esm(name: str) -> str:
    """Canonical name of a tensor of fair-esm's ``ESM2``; the inverse of :func:`to_fair_esm`.

    Raises
    ------
    InputError
        If the encoder has no such tensor.

    Examples
    --------
    >>> from_fair_esm("layers.3.fc1.bias")
    'encoder.layer.3.intermediate.dense.bias'
    """
    if name in _FAIR_ESM_OUTSIDE:
        return _FAIR_ESM_OUTSIDE[name]
    match = _FAIR_ESM_LAYER.fullmatch(name)
    if match and match[2] in _FAIR_ESM_PARTS:
        return f"encoder.layer.{match[1]}.{_FAIR_ESM_PARTS[match[2]]}.{match[3]}"
    raise InputError(f"{name!r} is no tensor of fair-esm's ESM2 encoder")


def fair_esm_frequencies(layers: int) -> Iterator[str]:
    """Where fair-esm keeps the rotary frequencies: one copy in every layer."""
    return (f"layers.{layer}.self_attn.rot_emb.inv_freq" for layer in range(layers))
