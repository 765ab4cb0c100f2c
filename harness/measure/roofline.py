"""Where each arm stands between the bandwidth of the memory and the ceiling of the products."""

from __future__ import annotations

from collections.abc import Sequence

from embedders import UnknownName
from embedders.arithmetic import Arithmetic
from harness.costs import Rate, RooflinePoint
from harness.measure.work import useful_flops

_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


def bytes_moved(arithmetic: Arithmetic, batches: Sequence[Sequence[int]], dtype: str) -> int:
    """Return the bytes that a forward pass over these batches moves at least.

    ``e · L · Σ_batches (W + M·T)`` with ``e`` bytes a number, ``W`` weights and ``M`` numbers moved
    per token in a layer, and ``T`` tokens of the batch. For ESM-2 that is ``12·H² + 20·H·T``.
    The ``12·H²`` weights of a layer are read once a batch. Each step reads what it takes and writes
    what it gives once, in widths of ``H`` a token: queries, keys and values 1 + 3, attention 3 + 1,
    its projection 1 + 1, up 1 + 4, down 4 + 1: together 20. Norms, sums and activations are taken
    as fused into these steps, and attention as never writing its ``Lᵢ²`` scores (Dao et al.,
    "FlashAttention", 2022). This is the compulsory traffic of the roofline model (Williams et al.,
    2009): an implementation that moves more lies further left than it is drawn.

    Parameters
    ----------
    batches
        Residues of each row of each batch; BOS and EOS are added.

    Raises
    ------
    UnknownName
        If the dtype is in no table.

    Examples
    --------
    >>> from embedders.checkpoints import Architecture
    >>> bytes_moved(Architecture(layers=1, width=2, heads=1), [[1, 2]], "float32")
    1312
    """
    if dtype not in _BYTES:
        raise UnknownName("dtype", dtype, _BYTES)
    numbers = sum(
        arithmetic.layer_weights
        + arithmetic.layer_traffic * sum(count + arithmetic.special_tokens for count in residues)
        for residues in batches
        if residues
    )
    return _BYTES[dtype] * arithmetic.layers * numbers


def arithmetic_intensity(
    arithmetic: Arithmetic, batches: Sequence[Sequence[int]], dtype: str
) -> float:
    """Return useful FLOPs per byte moved: :func:`useful_flops` over :func:`bytes_moved`.

    The intensity of the work itself, without padding, whatever an arm makes of it.
    """
    flops = sum(useful_flops(arithmetic, residues) for residues in batches)
    return flops / bytes_moved(arithmetic, batches, dtype)


def roofline_point(
    rate: Rate, arithmetic: Arithmetic, batches: Sequence[Sequence[int]], dtype: str
) -> RooflinePoint:
    """Place one arm's measured rate at the intensity of the batches it was measured on."""
    return RooflinePoint(
        arm=rate.arm,
        dtype=dtype,
        flops_per_byte=arithmetic_intensity(arithmetic, batches, dtype),
        flops_per_s=rate.flops_per_s,
    )
