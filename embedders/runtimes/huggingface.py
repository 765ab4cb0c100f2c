"""transformers' ``EsmModel``, with SDPA, eager or FlashAttention."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import torch
from torch import nn

from embedders.alphabet import MASK, PADDING, VOCABULARY, encode_batch
from embedders.checkpoints import Architecture
from embedders.errors import UnsupportedChoice, WeightsError
from embedders.pooling import mean_over_residues
from embedders.runtimes.encoder import Placement, count_parameters, fill

_DEFAULT_ATTENTION = "sdpa"
_FLASH = "flash_attention_2"


@dataclass(frozen=True, slots=True)
class HuggingFaceEncoder:
    """A transformers encoder over ESM tokens."""

    model: nn.Module
    width: int
    parameters: int
    device: torch.device
    attention: str | None = None

    def pooled(self, sequences: Sequence[str], window_residues: int) -> torch.Tensor:
        """Run one batch; see :class:`embedders.runtimes.encoder.Encoder`."""
        tokens, lengths = encode_batch(sequences)
        padded = bool((lengths != lengths[0]).any())
        tokens = tokens.to(self.device)
        # without padding no mask is needed, and attention may take its fastest path
        mask = (tokens != PADDING).long() if padded else None
        hidden = self.model(input_ids=tokens, attention_mask=mask).last_hidden_state
        return mean_over_residues(hidden, lengths, window_residues)


def build(
    architecture: Architecture,
    tensors: Iterable[tuple[str, torch.Tensor]],
    placement: Placement,
) -> HuggingFaceEncoder:
    """Build transformers' model and fill it; see ``RuntimeModule``."""
    attention = placement.attention or _DEFAULT_ATTENTION
    if attention == _FLASH:
        _check_flash(placement)
    model = _empty_model(architecture, attention)
    fill(model, tensors, placement, rename=str)
    _settle_buffers(model, placement.device)
    model.eval()
    return _encoder(model, placement.device, attention)


def wrap(model: nn.Module, placement: Placement) -> HuggingFaceEncoder:
    """Make an encoder of a model that other code has built and that takes ESM tokens.

    Raises
    ------
    WeightsError
        If the model does not say how wide its token embedding is.
    """
    embedding = getattr(model, "get_input_embeddings", lambda: None)()
    if not isinstance(embedding, nn.Embedding):
        raise WeightsError(f"{type(model).__name__} has no token embedding to read its width from")
    width = embedding.embedding_dim
    return HuggingFaceEncoder(
        model, width, count_parameters(model), placement.device, placement.attention
    )


def outline(architecture: Architecture) -> HuggingFaceEncoder:
    """Build transformers' model on the meta device; see ``RuntimeModule``."""
    model = _empty_model(architecture, _DEFAULT_ATTENTION)
    return _encoder(model, torch.device("meta"), _DEFAULT_ATTENTION)


def _encoder(model: nn.Module, device: torch.device, attention: str) -> HuggingFaceEncoder:
    width = int(model.get_parameter("encoder.emb_layer_norm_after.weight").shape[0])
    return HuggingFaceEncoder(model, width, count_parameters(model), device, attention)


def _empty_model(architecture: Architecture, attention: str) -> nn.Module:
    from transformers import EsmConfig, EsmModel  # noqa: PLC0415 - heavy, only here

    config = EsmConfig(
        vocab_size=len(VOCABULARY),
        mask_token_id=MASK,
        pad_token_id=PADDING,
        hidden_size=architecture.width,
        num_hidden_layers=architecture.layers,
        num_attention_heads=architecture.heads,
        intermediate_size=architecture.feed_forward,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        layer_norm_eps=1e-5,
        position_embedding_type="rotary",
        emb_layer_norm_before=False,
        token_dropout=architecture.token_dropout,
        attn_implementation=attention,
    )
    with torch.device("meta"):
        model: nn.Module = EsmModel(config, add_pooling_layer=False)
    # predicting contacts is never asked for
    model.register_module("contact_head", None)
    model.register_module("rotary_embeddings", _Float32Rotary())
    return model


def _settle_buffers(model: nn.Module, device: torch.device) -> None:
    """Replace what is still on the meta device: position ids, which rotary models never read."""
    for module in model.modules():
        for name, buffer in list(module._buffers.items()):
            if buffer is not None and buffer.is_meta:
                module._buffers[name] = torch.zeros(buffer.shape, dtype=buffer.dtype, device=device)


def _check_flash(placement: Placement) -> None:
    reasons = []
    if placement.device.type != "cuda":
        reasons.append("a CUDA device")
    if placement.dtype not in (torch.bfloat16, torch.float16):
        reasons.append("bfloat16 or float16")
    if find_spec("flash_attn") is None:
        reasons.append("the flash-attn package")
    if reasons:
        raise UnsupportedChoice(
            f"attention {_FLASH!r} needs {', '.join(reasons)}; choose 'sdpa' instead"
        )


class _Float32Rotary(nn.Module):
    """Rotary tables in float32 for every dtype of the model.

    transformers casts its tables to the model's dtype before they are used, which in bfloat16
    leaves 8 bits for the angle of a residue; its ``apply_rotary_pos_emb`` takes float32 tables.
    """

    inv_freq: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("inv_freq", torch.empty(0, device="meta"))

    def forward(
        self, hidden: torch.Tensor, position_ids: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        del hidden  # only its dtype would be of interest, and that is not followed here
        angles = position_ids[..., None].float() * self.inv_freq
        both_halves = torch.cat((angles, angles), dim=-1)
        return both_halves.cos(), both_halves.sin()
