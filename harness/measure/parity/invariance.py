"""Does a vector depend on anything but its own sequence: on batch-mates, on order, on the run?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from embedders import Embedder
from harness.measure.parity.agreement import WORST, agreement
from harness.results import ParityCheck


@dataclass(frozen=True, slots=True)
class Passes:
    """The same sequences embedded in several ways; float32 ``(n, width)``, rows in one order."""

    together: torch.Tensor
    again: torch.Tensor
    backwards: torch.Tensor
    alone: torch.Tensor

    @classmethod
    def run(cls, embedder: Embedder, sequences: Sequence[str], tokens_per_batch: int) -> Passes:
        """Embed ``sequences`` together, together again, in reverse order, and each alone."""
        together, again = (
            embedder.embed(sequences, tokens_per_batch=tokens_per_batch) for _ in range(2)
        )
        backwards = embedder.embed(sequences[::-1], tokens_per_batch=tokens_per_batch).flip(0)
        alone = torch.cat([embedder.embed([each], tokens_per_batch=1) for each in sequences])
        return cls(together, again, backwards, alone)


def batch_invariance(
    embedder: Embedder, sequences: Sequence[str], *, arm: str, tokens_per_batch: int
) -> ParityCheck:
    """Ask whether a sequence's vector depends on its batch-mates or on the input order."""
    passes = Passes.run(embedder, sequences, tokens_per_batch)
    return batch_and_order(passes, arm=arm, dtype=embedder.spec.dtype)


def batch_and_order(passes: Passes, *, arm: str, dtype: str) -> ParityCheck:
    """Compare sequences together with the same alone and in reverse order; return the worse."""
    count = len(passes.together)
    checks = [
        agreement(
            passes.together,
            other,
            arm=arm,
            check="batch and order",
            sentence=f"{count} sequences, each alone, together, and in reverse order",
            dtype=dtype,
        )
        for other in (passes.backwards, passes.alone)
    ]
    worst = min if checks[0].at_least else max
    return worst(checks, key=lambda check: check.value)


def repeated_run(passes: Passes, *, arm: str) -> ParityCheck:
    """Compare two runs on the same input: they must not differ by a single bit."""
    difference = (passes.together.double() - passes.again.double()).abs()
    return ParityCheck(
        arm=arm,
        check="repeated run",
        sentence=f"{len(passes.together)} sequences embedded twice: largest difference",
        value=float(difference.nan_to_num(nan=WORST, posinf=WORST).max()),
        limit=0.0,
        at_least=False,
    )


def finite(passes: Passes, *, arm: str) -> ParityCheck:
    """Count the values that are no numbers, over all ways of embedding."""
    ways = (passes.together, passes.again, passes.backwards, passes.alone)
    return ParityCheck(
        arm=arm,
        check="NaN and infinity",
        sentence=f"values of {len(passes.together)} vectors that are NaN or infinite",
        value=float(sum(int((~torch.isfinite(each)).sum()) for each in ways)),
        limit=0.0,
        at_least=False,
    )
