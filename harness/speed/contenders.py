"""Embedders beside each other on equal rounds, each against the ceiling of its own dtype."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from embedders import Embedder, checkpoint
from embedders.batching import plan_batches
from harness import measure
from harness.costs import Ceiling, Contest, Rate


@dataclass(frozen=True, slots=True)
class Contender:
    """One arm of a contest; ``layers`` is its depth where it was cut."""

    embedder: Embedder
    tokens_per_batch: int
    layers: int | None = None

    def embed(self, inputs: Sequence[Sequence[str]], number: int) -> object:
        """Embed the input of a round; where there are fewer inputs, they come again."""
        return self.embedder.embed(
            inputs[number % len(inputs)], tokens_per_batch=self.tokens_per_batch
        )


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
    """
    contest = measure.interleave(
        {name: partial(arm.embed, inputs) for name, arm in arms.items()},
        rounds=rounds,
        device=next(iter(arms.values())).embedder.spec.device,
        max_warmup_rounds=max_warmup_rounds,
    )
    rounds_counted = [inputs[number % len(inputs)] for number in contest.numbers]
    rates = tuple(
        _rate(name, arm, contest, rounds_counted, ceilings[arm.embedder.spec.dtype])
        for name, arm in arms.items()
    )
    return contest, rates


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
) -> Rate:
    spec = arm.embedder.spec
    architecture = checkpoint(spec.name).architecture(arm.layers)
    residues = [[min(len(each), spec.window_residues) for each in taken] for taken in inputs]
    padded = None
    if spec.pads:
        plans = [plan_batches(each, arm.tokens_per_batch) for each in residues]
        padded = [
            measure.padded_flops(architecture, [[each[row] for row in batch] for batch in plan])
            for each, plan in zip(residues, plans, strict=True)
        ]
    return measure.rate(
        name,
        contest,
        [sum(each) for each in residues],
        [len(each) for each in residues],
        [measure.useful_flops(architecture, each) for each in residues],
        ceiling,
        padded,
    )
