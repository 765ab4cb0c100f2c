"""Embedders beside each other on equal rounds, each against the ceiling of its own dtype."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch

from embedders import Embedder, arithmetic_of
from embedders.batching import plan_batches
from harness import measure
from harness.costs import Ceiling, Contest, Rate, Roofline


@dataclass(frozen=True, slots=True)
class Contender:
    """One arm of a contest; ``layers`` is its depth where it was cut.

    ``latest`` holds what the last call of :meth:`embed` gave, so that a contest's outputs can be
    looked at afterwards.
    """

    embedder: Embedder
    tokens_per_batch: int
    layers: int | None = None
    latest: list[torch.Tensor] = field(default_factory=list, compare=False, repr=False)

    def embed(self, inputs: Sequence[Sequence[str]], number: int) -> object:
        """Embed the input of a round; where there are fewer inputs, they come again."""
        self.latest[:] = [
            self.embedder.embed(
                inputs[number % len(inputs)], tokens_per_batch=self.tokens_per_batch
            )
        ]
        return self.latest[0]


def side_by_side(
    arms: Mapping[str, Contender],
    inputs: Sequence[Sequence[str]],
    ceilings: Mapping[str, Ceiling],
    *,
    rounds: int,
    max_warmup_rounds: int,
) -> tuple[Contest, tuple[Rate, ...]]:
    """Let embedders of one device contend on equal rounds.

    Parameters
    ----------
    inputs
        ``inputs[i]`` is round ``i``; where there are fewer than rounds, they come again, the same
        for every arm.
    ceilings
        By dtype; each rate is set against that of its own.

    Returns
    -------
    tuple[Contest, tuple[Rate, ...]]
        Arms of which it is not known how much they compute have no rate.
    """
    contest = measure.interleave(
        {name: partial(arm.embed, inputs) for name, arm in arms.items()},
        rounds=rounds,
        device=next(iter(arms.values())).embedder.spec.device,
        max_warmup_rounds=max_warmup_rounds,
    )
    rounds_counted = [inputs[number % len(inputs)] for number in contest.numbers]
    rates = (
        _rate(name, arm, contest, rounds_counted, ceilings[arm.embedder.spec.dtype])
        for name, arm in arms.items()
    )
    return contest, tuple(each for each in rates if each is not None)


def roofline(
    arms: Mapping[str, Contender],
    sequences: Sequence[str],
    rates: Sequence[Rate],
    ceilings: Mapping[str, Ceiling],
) -> Roofline:
    """Place arms that contended under the ceilings of their device.

    Parameters
    ----------
    sequences
        A round like those that were timed; it decides how intense the work is.
    rates
        Of :func:`side_by_side`; an arm without one is not placed.
    """
    residues = [len(each) for each in sequences]
    points = []
    for each in rates:
        arm = arms[each.arm]
        spec = arm.embedder.spec
        cut = [min(count, spec.window_residues) for count in residues]
        plan = plan_batches(cut, arm.tokens_per_batch, pads=spec.pads)
        batches = [[cut[row] for row in batch] for batch in plan]
        arithmetic = arithmetic_of(spec.name, arm.layers)
        if arithmetic is not None:
            points.append(measure.roofline_point(each, arithmetic, batches, spec.dtype))
    device = next(iter(arms.values())).embedder.spec.device
    return Roofline(tuple(ceilings.values()), measure.bandwidth_ceiling(device), tuple(points))


def measure_ceilings(embedders: Iterable[Embedder]) -> dict[str, Ceiling]:
    """Measure a ceiling for each dtype of embedders on one device."""
    kinds = {(each.spec.device, each.spec.dtype) for each in embedders}
    return {dtype: measure_ceiling(device, dtype) for device, dtype in sorted(kinds)}


def measure_ceiling(device: str, dtype: str) -> Ceiling:
    """Measure at the sides that fill such a device."""
    sides = (1024, 2048) if device == "cpu" else (4096, 8192, 16384)
    return measure.gemm_ceiling(device, dtype, sizes=sides)


def _rate(
    name: str,
    arm: Contender,
    contest: Contest,
    inputs: Sequence[Sequence[str]],
    ceiling: Ceiling,
) -> Rate | None:
    spec = arm.embedder.spec
    arithmetic = arithmetic_of(spec.name, arm.layers)
    if arithmetic is None:
        return None
    residues = [[min(len(each), spec.window_residues) for each in taken] for taken in inputs]
    padded = None
    if spec.pads:
        plans = [plan_batches(each, arm.tokens_per_batch) for each in residues]
        padded = [
            measure.padded_flops(arithmetic, [[each[row] for row in batch] for batch in plan])
            for each, plan in zip(residues, plans, strict=True)
        ]
    return measure.rate(
        name,
        contest,
        [sum(each) for each in residues],
        [len(each) for each in residues],
        [measure.useful_flops(arithmetic, each) for each in residues],
        ceiling,
        padded,
    )
