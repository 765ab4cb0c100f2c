"""The encoder itself: ESM-2's pre-norm layers over one row of tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch.nn import functional as F

from embedders import naming
from embedders.checkpoints import Architecture
from embedders.errors import WeightsError
from embedders.runtimes.encoder import Placement
from embedders.runtimes.packed.attention import Attention, choose_attention
from embedders.runtimes.packed.linear import Linear, PlainLinear, linear_kind
from embedders.runtimes.packed.packing import Packing, mean_over_windows, pack

LAYER_NORM_EPSILON = 1e-5
TOKEN_DROPOUT_SCALE = 1 - 0.15 * 0.8
"""ESM-2 was trained with 15% of the residues chosen and 80% of these masked, and scales what is
left by the share that stays. A clean sequence has no mask, so the factor is the same for each."""

_Vector = tuple[torch.Tensor, torch.Tensor]
"""Weight and bias."""
_MakeLinear = Callable[[torch.Tensor, torch.Tensor], Linear]


@dataclass(frozen=True, slots=True)
class Layer:
    """One transformer layer; norms ``(width,)``, the rest by their names."""

    attention_norm: _Vector
    query_key_value: Linear
    attention_output: Linear
    norm: _Vector
    up: Linear
    down: Linear

    def before(self, x: torch.Tensor) -> torch.Tensor:
        """Return queries, keys and values ``(t, 3 · width)`` of hidden states ``(t, width)``."""
        return self.query_key_value(_normed(x, self.attention_norm))

    def after(self, attended: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Return the next hidden states ``(t, width)``."""
        x = self.attention_output.add(attended, x)
        return self.down.add(self.up.gelu(_normed(x, self.norm)), x)


@dataclass(frozen=True, slots=True)
class PackedEncoder:
    """An ESM-2 encoder without padding; see :class:`embedders.runtimes.encoder.Encoder`."""

    embedding: torch.Tensor
    frequencies: torch.Tensor
    layers: tuple[Layer, ...]
    last_norm: _Vector
    heads: int
    parameters: int
    implementation: Attention | None

    @property
    def width(self) -> int:
        """Length of a vector."""
        return self.embedding.shape[1]

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.embedding.device

    @property
    def attention(self) -> str | None:
        """The implementation that was taken."""
        return self.implementation.name if self.implementation else None

    def pooled(self, sequences: Sequence[str], window_residues: int) -> torch.Tensor:
        """Run one batch; see :class:`embedders.runtimes.encoder.Encoder`."""
        packing = pack(sequences, window_residues, self.device)
        return mean_over_windows(self.hidden(packing), packing)

    def hidden(self, packing: Packing) -> torch.Tensor:
        """Return the last hidden states ``(t, width)`` in the model's dtype."""
        if self.implementation is None:
            raise WeightsError("an outline has no weights to compute with")
        tables = self.implementation.tables(packing, self.frequencies)
        x = F.embedding(packing.tokens, self.embedding)
        for layer in self.layers:
            attended = self.implementation(layer.before(x), packing, self.heads, tables)
            x = layer.after(attended, x)
        return _normed(x, self.last_norm)


def build(
    architecture: Architecture,
    tensors: Iterable[tuple[str, torch.Tensor]],
    placement: Placement,
) -> PackedEncoder:
    """Build the encoder from canonical tensors; see ``RuntimeModule``."""
    implementation = choose_attention(placement)
    places = _Places(architecture, placement)
    for name, tensor in tensors:
        places.fill(name, tensor)
    return places.encoder(linear_kind(placement.device, placement.dtype), implementation)


def outline(architecture: Architecture) -> PackedEncoder:
    """Build the encoder on the meta device; see ``RuntimeModule``."""
    placement = Placement(torch.device("meta"), torch.float32)
    return _Places(architecture, placement).encoder(PlainLinear, None)


class _Places:
    """Memory for every tensor; queries, keys and values of a layer lie side by side."""

    def __init__(self, architecture: Architecture, placement: Placement) -> None:
        self._architecture = architecture
        self._placement = placement
        self._shapes = naming.parameter_shapes(architecture)
        self._missing = {naming.FREQUENCIES, *self._shapes}
        self._tensors = {
            name: self._empty(shape) for name, shape in self._shapes.items() if ".self." not in name
        }
        for layer in range(architecture.layers):
            for leaf, shape in (("weight", (architecture.width,)), ("bias", ())):
                together = self._empty((3 * architecture.width, *shape))
                self._tensors[f"{layer}.{leaf}"] = together
                for part, place in zip(("query", "key", "value"), together.chunk(3), strict=True):
                    self._tensors[f"encoder.layer.{layer}.attention.self.{part}.{leaf}"] = place
        half = architecture.width // architecture.heads // 2
        self._tensors[naming.FREQUENCIES] = torch.empty(half, device=placement.device)

    def _empty(self, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.empty(shape, dtype=self._placement.dtype, device=self._placement.device)

    def fill(self, name: str, tensor: torch.Tensor) -> None:
        """Put one canonical tensor into its place, in the dtype of the model.

        Raises
        ------
        WeightsError
            If it has no place.
        """
        place = self._tensors.get(name)
        if name not in self._missing or place is None or place.shape != tensor.shape:
            raise WeightsError(f"{name} {tuple(tensor.shape)} has no place in the model")
        self._missing.remove(name)
        if name == "embeddings.word_embeddings.weight" and self._architecture.token_dropout:
            tensor = tensor.float() * TOKEN_DROPOUT_SCALE
        place.copy_(tensor)

    def encoder(self, make: _MakeLinear, implementation: Attention | None) -> PackedEncoder:
        """Turn the tensors into an encoder, layer by layer, so that none is there twice for long.

        Raises
        ------
        WeightsError
            If tensors did not come.
        """
        if implementation is not None and self._missing:
            raise WeightsError(f"the weights lack {', '.join(sorted(self._missing))}")
        return PackedEncoder(
            embedding=self._tensors["embeddings.word_embeddings.weight"],
            frequencies=self._tensors[naming.FREQUENCIES],
            last_norm=self._pair("encoder.emb_layer_norm_after"),
            layers=tuple(self._layer(n, make) for n in range(self._architecture.layers)),
            heads=self._architecture.heads,
            parameters=sum(prod(shape) for shape in self._shapes.values()),
            implementation=implementation,
        )

    def _layer(self, number: int, make: _MakeLinear) -> Layer:
        prefix = f"encoder.layer.{number}."
        for part in ("query", "key", "value"):  # views, which would keep what they look into
            self._pair(f"{prefix}attention.self.{part}")
        return Layer(
            attention_norm=self._pair(f"{prefix}attention.LayerNorm"),
            query_key_value=make(*self._pair(str(number))),
            attention_output=make(*self._pair(f"{prefix}attention.output.dense")),
            norm=self._pair(f"{prefix}LayerNorm"),
            up=make(*self._pair(f"{prefix}intermediate.dense")),
            down=make(*self._pair(f"{prefix}output.dense")),
        )

    def _pair(self, name: str) -> _Vector:
        return self._tensors.pop(f"{name}.weight"), self._tensors.pop(f"{name}.bias")


def _normed(x: torch.Tensor, norm: _Vector) -> torch.Tensor:
    return F.layer_norm(x, norm[0].shape, *norm, eps=LAYER_NORM_EPSILON)
