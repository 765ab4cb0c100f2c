"""Attention within each sequence of a packed row, three ways.

Each takes queries, keys and values as the linear layer leaves them, ``(t, 3 · heads · d)``, and
returns ``(t, heads · d)``: rotary turn by float32 tables, softmax and sums in float32.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache, partial
from inspect import signature
from typing import Protocol, cast

import torch
from torch.nn import functional as F

from embedders.errors import UnsupportedChoice
from embedders.runtimes.encoder import Placement
from embedders.runtimes.packed.kernel import Kernel, KernelMissing, open_kernel
from embedders.runtimes.packed.packing import Packing

NATIVE, VARLEN, SDPA = "native", "varlen", "sdpa"


class Attention(Protocol):
    """One implementation; ``name`` is what a caller chooses it by."""

    name: str

    def tables(self, packing: Packing, frequencies: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return what the rotary turn of one batch needs, the same for every layer.

        ``frequencies``: float32 ``(d / 2,)``.
        """
        ...

    def __call__(
        self, qkv: torch.Tensor, packing: Packing, heads: int, tables: tuple[torch.Tensor, ...]
    ) -> torch.Tensor:
        """Attend; see the module."""
        ...


class NativeAttention:
    """The project's own CPU kernel; it turns queries and keys itself."""

    name = NATIVE

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def tables(self, packing: Packing, frequencies: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return cosine and sine of every position there is."""
        return _angles(torch.arange(packing.longest), frequencies)

    def __call__(
        self, qkv: torch.Tensor, packing: Packing, heads: int, tables: tuple[torch.Tensor, ...]
    ) -> torch.Tensor:
        """Attend."""
        return self._kernel.attend(qkv, packing.starts, heads, *tables)


class _TurnedAttention:
    """What the two implementations of PyTorch share: cosine and sine per token, turned here."""

    def tables(self, packing: Packing, frequencies: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return cosine and sine of every token."""
        cosine, sine = _angles(packing.positions, frequencies)
        return cosine[:, None], sine[:, None]  # one for all heads


class VarlenAttention(_TurnedAttention):
    """PyTorch's variable-length FlashAttention, on CUDA in half precision."""

    name = VARLEN

    def __init__(self) -> None:
        self._attend = _varlen()

    def __call__(
        self, qkv: torch.Tensor, packing: Packing, heads: int, tables: tuple[torch.Tensor, ...]
    ) -> torch.Tensor:
        """Attend."""
        query, key, value = _turned(qkv, heads, *tables)
        longest = packing.longest
        attended = self._attend(query, key, value, packing.starts, packing.starts, longest, longest)
        return attended.flatten(1)


class SdpaAttention(_TurnedAttention):
    """PyTorch's scaled dot product attention, one sequence at a time: works everywhere."""

    name = SDPA

    def __call__(
        self, qkv: torch.Tensor, packing: Packing, heads: int, tables: tuple[torch.Tensor, ...]
    ) -> torch.Tensor:
        """Attend."""
        rows = [torch.split(each, list(packing.lengths)) for each in _turned(qkv, heads, *tables)]
        attended = [
            F.scaled_dot_product_attention(*(each.transpose(0, 1)[None] for each in parts))
            for parts in zip(*rows, strict=True)
        ]
        return torch.cat([each[0].transpose(0, 1).flatten(1) for each in attended])


def choose_attention(placement: Placement) -> Attention:
    """Return the implementation asked for, or the fastest that this machine has.

    Where the fastest is left out because something is not installed, a warning says what and what
    to do; the spec records what was taken.

    Raises
    ------
    UnsupportedChoice
        If the one asked for cannot work here.
    """
    wanted = placement.attention
    on_cuda = placement.device.type == "cuda"
    half = placement.dtype in (torch.bfloat16, torch.float16)
    if wanted == SDPA:
        return SdpaAttention()
    if wanted == VARLEN and not (on_cuda and half):
        raise UnsupportedChoice("attention 'varlen' needs a CUDA device and bfloat16 or float16")
    if wanted == NATIVE and on_cuda:
        raise UnsupportedChoice("attention 'native' is a CPU kernel; leave it out on CUDA")
    if on_cuda and not half:
        return SdpaAttention()  # FlashAttention has no float32
    try:
        return VarlenAttention() if on_cuda else NativeAttention(open_kernel())
    except KernelMissing as missing:
        if wanted is not None:
            raise UnsupportedChoice(
                f"attention {wanted!r} is not possible here: {missing}"
            ) from None
        warnings.warn(
            f"attention 'sdpa' is used, which is slower, because {missing}",
            RuntimeWarning,
            stacklevel=2,
        )
        return SdpaAttention()


def _angles(positions: torch.Tensor, frequencies: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Return cosine and sine, float32 ``(positions, d / 2)``."""
    angles = positions[:, None].float() * frequencies
    return angles.cos(), angles.sin()


def _turned(
    qkv: torch.Tensor, heads: int, cosine: torch.Tensor, sine: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Split into queries, keys and values ``(t, heads, d)`` and turn the first two.

    The rotary form of GPT-NeoX, which ESM-2 uses: component ``i`` is paired with ``i + d / 2``.
    """
    both, value = qkv.view(len(qkv), 3, heads, -1).tensor_split((2,), dim=1)
    first, second = both.float().chunk(2, dim=-1)
    cosine, sine = cosine[:, None], sine[:, None]
    turned = torch.cat((first * cosine - second * sine, second * cosine + first * sine), dim=-1)
    query, key = turned.to(qkv.dtype).unbind(1)
    return query, key, value[:, 0]


@cache
def _varlen() -> Callable[..., torch.Tensor]:
    try:
        from torch.nn.attention.varlen import varlen_attn  # noqa: PLC0415 - from torch 2.10 on
    except ImportError:
        raise KernelMissing(
            f"torch {torch.__version__} has no torch.nn.attention.varlen; use torch 2.10 or newer"
        ) from None
    # one split: then a sequence's result does not depend, to the bit, on its batch
    known = "num_splits" in signature(varlen_attn).parameters
    chosen = partial(varlen_attn, num_splits=1) if known else varlen_attn
    return cast(Callable[..., torch.Tensor], chosen)
