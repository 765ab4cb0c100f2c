"""How far half precision drifts from float32, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from harness.measure.parity.agreement import COSINE_LIMIT
from harness.measure.parity.states import Trace
from harness.results import ParityCheck

LAST_NORM = "last norm"


@dataclass(frozen=True, slots=True)
class LayerCosine:
    """One layer in half precision against float32: the smallest cosine over sequences.

    ``layer`` is ``1`` … as they are passed, then ``last norm``, whose mean is the vector.
    """

    layer: str
    cosine: float


def layer_drift(ours: Sequence[Trace], reference: Sequence[Trace]) -> tuple[LayerCosine, ...]:
    """Compare mean-pooled hidden states behind every layer, the same sequences on both sides.

    A NaN on either side counts as -1.

    Raises
    ------
    ValueError
        If the numbers of sequences or of layers differ.
    """
    left, right = (torch.stack([each.layers for each in side]) for side in (ours, reference))
    if left.shape != right.shape:
        raise ValueError(f"shapes differ: {tuple(left.shape)} and {tuple(right.shape)}")
    cosines = torch.nn.functional.cosine_similarity(left, right, dim=2).nan_to_num(nan=-1.0)
    worst = cosines.amin(dim=0).tolist()
    names = [*map(str, range(1, len(worst))), LAST_NORM]
    return tuple(LayerCosine(name, value) for name, value in zip(names, worst, strict=True))


def drift_check(
    layers: Sequence[LayerCosine], *, arm: str, dtype: str, sequences: int
) -> ParityCheck:
    """Hold the worst layer against the limit and name it."""
    worst = min(layers, key=lambda each: each.cosine)
    where = worst.layer if worst.layer == LAST_NORM else f"layer {worst.layer}"
    return ParityCheck(
        arm=arm,
        check=f"drift of {dtype}",
        sentence=f"{sequences} sequences, hidden states behind each of {len(layers) - 1} layers "
        f"against float32, worst behind {where}: smallest cosine",
        value=worst.cosine,
        limit=COSINE_LIMIT,
        at_least=True,
    )
