"""What an encoder computes on the way to a vector: its hidden states, read by hooks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from embedders import Embedder, InputError
from embedders.batching import SPECIAL_TOKENS
from embedders.runtimes import Encoder
from embedders.runtimes.packed.model import LAYER_NORM_EPSILON, Layer, PackedEncoder

_LAST_NORM = "emb_layer_norm_after"
"""What both libraries call the norm behind the last layer, whose output is pooled."""

_Hear = Callable[[torch.Tensor], None]


@dataclass(frozen=True, slots=True)
class Trace:
    """One sequence alone in an encoder; all on the CPU.

    Attributes
    ----------
    vector
        float32 ``(width,)``: what the runtime itself pools.
    layers
        float64 ``(layers + 1, width)``: mean over the residues in the window of the hidden states
        behind each layer, and behind the last norm.
    all_tokens
        float64 ``(width,)``: mean behind the last norm over every token, BOS and EOS included.
    tokens
        How many tokens entered.
    """

    vector: torch.Tensor
    layers: torch.Tensor
    all_tokens: torch.Tensor
    tokens: int

    @property
    def residues_mean(self) -> torch.Tensor:
        """float64 ``(width,)``: mean over residues, computed here and not by the runtime."""
        return self.layers[-1]


def encoder_of(embedder: Embedder) -> Encoder:
    """Return the encoder inside an embedder.

    Raises
    ------
    InputError
        If the embedder has none that can be looked into, as one in another process.
    """
    encoder: Encoder | None = getattr(embedder, "encoder", None)
    if encoder is None:
        raise InputError(
            f"{embedder.spec.name} on {embedder.spec.runtime}: no encoder to look into; audit an "
            "ESM-2 embedder in this process"
        )
    return encoder


def trace(encoder: Encoder, residues: str, *, window_residues: int) -> Trace:
    """Run one clean sequence through an encoder as it is and listen to every layer.

    Nothing of the package's own pooling or truncation is used: ``residues`` enter whole, and the
    means are taken here, in float64.

    Raises
    ------
    InputError
        If the encoder's layers cannot be found, or give other than ``residues + 2`` states.
    """
    inside = slice(1, 1 + min(len(residues), window_residues))
    tokens = len(residues) + SPECIAL_TOKENS
    means: list[torch.Tensor] = []
    last: list[torch.Tensor] = []

    def hear(states: torch.Tensor) -> None:
        # one sequence alone: the axis of the batch, wherever a library puts it, has length 1
        rows = states.detach().reshape(-1, states.shape[-1])
        if len(rows) != tokens:
            raise InputError(f"{len(rows)} hidden states for {len(residues)} residues")
        means.append(rows[inside].double().mean(dim=0).cpu())
        last[:] = [rows]

    with torch.inference_mode(), _listening(encoder, hear) as listened:
        vector = listened.pooled([residues], window_residues)[0].cpu()
    return Trace(vector, torch.stack(means), last[0].double().mean(dim=0).cpu(), tokens)


@contextmanager
def _listening(encoder: Encoder, hear: _Hear) -> Iterator[Encoder]:
    """Offer the encoder with ``hear`` called behind each layer and behind the last norm."""
    if isinstance(encoder, PackedEncoder):
        yield _packed(encoder, hear)
        return
    model = getattr(encoder, "model", None)
    if not isinstance(model, nn.Module):
        raise InputError(f"{type(encoder).__name__} has no layers to listen to")

    def hook(_: nn.Module, __: Any, output: Any) -> None:  # noqa: ANN401 - torch's own types
        # fair-esm's layers, and older transformers', return the states among other things
        hear(output[0] if isinstance(output, tuple) else output)

    with ExitStack() as stack:
        for module in (*_layers(model), _last_norm(model)):
            stack.callback(module.register_forward_hook(hook).remove)
        yield encoder


def _layers(model: nn.Module) -> nn.ModuleList:
    lists = [each for each in model.modules() if isinstance(each, nn.ModuleList)]
    if not lists:
        raise InputError(f"{type(model).__name__} has no list of layers to listen to")
    return max(lists, key=len)


def _last_norm(model: nn.Module) -> nn.Module:
    module: nn.Module
    for name, module in model.named_modules():
        if name.rpartition(".")[2] == _LAST_NORM:
            return module
    raise InputError(f"{type(model).__name__} has no {_LAST_NORM} to listen to")


@dataclass(frozen=True, slots=True)
class _HeardLayer(Layer):
    """A layer of the unpadded runtime, which has no modules to hang a hook on."""

    hear: _Hear

    def after(self, attended: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        states = Layer.after(self, attended, x)
        self.hear(states)
        return states


def _packed(encoder: PackedEncoder, hear: _Hear) -> PackedEncoder:
    weight, bias = encoder.last_norm

    def hear_last(states: torch.Tensor) -> None:
        hear(states)
        hear(F.layer_norm(states, weight.shape, weight, bias, eps=LAYER_NORM_EPSILON))

    heard = [
        _HeardLayer(
            **{each.name: getattr(layer, each.name) for each in fields(Layer)},
            hear=hear_last if layer is encoder.layers[-1] else hear,
        )
        for layer in encoder.layers
    ]
    return replace(encoder, layers=tuple(heard))
