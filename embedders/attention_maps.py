"""Attention maps: how much each token of a sequence attends to each other, by layer and head.

Only softmax attention that is written out has them, so they are read from transformers' eager
attention; fused kernels (SDPA, FlashAttention, the unpadded runtime's) never hold a whole map. A
sequence goes alone, and each layer's weights are shown as they are computed: however many layers
there are, one is in memory.

>>> from embedders import load
>>> options = {"weights": "random", "layers": 2, "device": "cpu"}
>>> embedder = load("esm2-8m", runtime="huggingface", attention="eager", **options)
>>> read_attention(embedder, "MKTAYIAKQR").weights.shape
torch.Size([2, 20, 12, 12])
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import torch
from torch import nn

from embedders.batching import SPECIAL_TOKENS
from embedders.contract import Embedder
from embedders.errors import InputError, UnknownName, UnsupportedChoice
from embedders.runtimes.huggingface import HuggingFaceEncoder

EAGER_RUNTIME, EAGER_ATTENTION = "huggingface", "eager"
"""What :func:`embedders.load` is to be told for an embedder whose attention can be read."""

See = Callable[[int, torch.Tensor], None]
"""Is shown a layer's number, from 1, and its weights ``(heads, tokens, tokens)``."""


class Heads(StrEnum):
    """What is kept of a layer's heads: ``EACH`` of them, or their ``MEAN`` alone."""

    EACH = "each"
    MEAN = "mean"


def heads_of(name: str) -> Heads:
    """Look up what is kept of heads.

    Raises
    ------
    UnknownName
        If there is nothing of that name.
    """
    try:
        return Heads(name)
    except ValueError:
        raise UnknownName("choice of heads", name, list(Heads)) from None


@dataclass(frozen=True, slots=True)
class Selection:
    """Which maps of a model are kept.

    ``layers`` are numbered from 1, as fair-esm's ``repr_layers`` are, and ascend.
    """

    layers: tuple[int, ...]
    heads: Heads = Heads.EACH

    def __post_init__(self) -> None:
        if not self.layers or self.layers[0] < 1 or list(self.layers) != sorted({*self.layers}):
            raise InputError(f"layers are numbers from 1 that ascend, not {self.layers}")

    def within(self, layers: int) -> Selection:
        """Return the selection itself, if a model of so many layers has them all.

        Raises
        ------
        InputError
            If it has not.
        """
        if self.layers[-1] > layers:
            raise InputError(
                f"layer {self.layers[-1]} was asked for, and there are layers 1 to {layers}"
            )
        return self

    def shape(self, heads: int, residues: int) -> tuple[int, int, int, int]:
        """Return layers, heads, tokens and tokens of one sequence's maps.

        Parameters
        ----------
        heads
            Of the model.
        residues
            Those that enter; BOS and EOS are added.

        Examples
        --------
        >>> Selection((1, 2)).shape(20, 10), Selection((6,), Heads.MEAN).shape(20, 10)
        ((2, 20, 12, 12), (1, 1, 12, 12))
        """
        tokens = residues + SPECIAL_TOKENS
        return len(self.layers), heads if self.heads is Heads.EACH else 1, tokens, tokens

    def of(self, weights: torch.Tensor) -> torch.Tensor:
        """Return what is kept of a layer's weights: float32, the mean as one head."""
        kept = weights.float()
        return kept if self.heads is Heads.EACH else kept.mean(dim=0, keepdim=True)


@dataclass(frozen=True, slots=True)
class AttentionMaps:
    """The maps of one sequence, and the vector of the same pass.

    Attributes
    ----------
    layers
        Number of each layer kept, from 1.
    weights
        float32 ``(layers, heads, tokens, tokens)`` on the CPU: entry ``[l, h, q, k]`` is the part
        of token ``k`` in what head ``h`` hands to token ``q``, so that each row sums to 1. Token 0
        is BOS, token ``i`` residue ``i``, the last EOS. With :attr:`Heads.MEAN` there is one head.
    vector
        float32 ``(width,)``: the embedding.
    """

    layers: tuple[int, ...]
    weights: torch.Tensor
    vector: torch.Tensor


def read_attention(
    embedder: Embedder,
    sequence: str,
    *,
    layers: Sequence[int] | None = None,
    heads: Heads | str = Heads.EACH,
) -> AttentionMaps:
    """Embed one sequence and return its attention maps, cleaned and cut as for its vector.

    They take ``layers · heads · tokens² · 4`` bytes: 2.8 GB for 1,024 residues in the 650M model.
    :func:`watch_attention` holds one layer at a time.

    Parameters
    ----------
    embedder
        Loaded with ``runtime="huggingface", attention="eager"``.
    layers
        Numbers from 1, ascending; all by default.
    heads
        ``each``, or ``mean`` for their mean.

    Raises
    ------
    UnknownName
        If ``heads`` is neither.
    UnsupportedChoice
        If the embedder's attention cannot be read.
    InputError
        If it has no such layer.
    RejectedSequence
        If it refuses the sequence.
    """
    depth = len(_attending(embedder))
    numbers = range(1, depth + 1) if layers is None else layers
    chosen = Selection(tuple(numbers), heads_of(heads)).within(depth)
    maps: list[torch.Tensor] = []

    def keep(layer: int, weights: torch.Tensor) -> None:
        if layer not in chosen.layers:
            return
        kept = chosen.of(weights)
        if not maps:
            with torch.inference_mode(mode=False):  # else nobody could change it afterwards
                maps.append(torch.empty((len(chosen.layers), *kept.shape)))
        maps[0][chosen.layers.index(layer)] = kept

    vector = watch_attention(embedder, sequence, keep)
    return AttentionMaps(chosen.layers, maps[0], vector)


def watch_attention(embedder: Embedder, sequence: str, see: See) -> torch.Tensor:
    """Embed one sequence and show each layer's weights, from the first layer to the last.

    Parameters
    ----------
    see
        Is called within the pass. The tensor is in the dtype and on the device that compute, and
        must not be changed: the layer still needs it.

    Returns
    -------
    torch.Tensor
        float32 ``(width,)`` on the CPU: the embedder's own vector.

    Raises
    ------
    UnsupportedChoice
        If the embedder's attention cannot be read.
    RejectedSequence
        If it refuses the sequence.
    """
    with _watching(_attending(embedder), see):
        return embedder.embed([sequence])[0]


@contextmanager
def _watching(modules: Sequence[nn.Module], see: See) -> Iterator[None]:
    def watch(layer: int) -> Callable[[nn.Module, Any, Any], None]:
        # one sequence alone: the axis of the batch has length 1
        return lambda _, __, output: see(layer, output[1][0])

    with ExitStack() as stack:
        for layer, module in enumerate(modules, start=1):
            stack.callback(module.register_forward_hook(watch(layer)).remove)
        yield


def _attending(embedder: Embedder) -> list[nn.Module]:
    """Return the modules that compute attention weights, one for each layer."""
    spec = embedder.spec
    encoder = getattr(embedder, "encoder", None)
    # remote code has a name of its own: what its modules give is not known
    if (spec.runtime, spec.attention) != (EAGER_RUNTIME, EAGER_ATTENTION) or not isinstance(
        encoder, HuggingFaceEncoder
    ):
        raise UnsupportedChoice(
            f"{spec.name} on {spec.runtime} with attention {spec.attention} never writes its "
            f"weights out; load an ESM-2 with runtime={EAGER_RUNTIME!r}, "
            f"attention={EAGER_ATTENTION!r}"
        )
    layers = encoder.model.get_submodule("encoder.layer").children()
    return [layer.get_submodule("attention.self") for layer in layers]
