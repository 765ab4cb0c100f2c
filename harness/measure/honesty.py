"""Does what is timed do the work? After MLPerf Inference's compliance tests TEST01 and TEST04."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from embedders import Embedder
from harness.measure.contest import interleave, speedup_in
from harness.measure.parity import agreement
from harness.results import ParityCheck

REPEAT_LIMIT = 2.0
"""Sequences seen before may look so many times as fast: libraries prepare each shape of a batch
once, and short rounds are noisy. An answer that is remembered is hundreds of times as fast."""
REPEAT_ROUNDS = 4

_FRESH, _AGAIN = "fresh", "again"


def repeats(
    embedder: Embedder, rounds: Sequence[Sequence[str]], *, arm: str, tokens_per_batch: int
) -> ParityCheck:
    """Ask whether sequences that were embedded before are embedded faster (TEST04).

    Rounds of new sequences and one round over and over take turns. Timing an embedder that
    remembers its answers would time its memory.

    Parameters
    ----------
    embedder
        Whose time is at stake.
    rounds
        Sequences of like length mixes, at least ``REPEAT_ROUNDS`` + 2 rounds, none twice; the first
        is the one that comes again.
    arm, tokens_per_batch
        For the record, and as it is timed.

    Returns
    -------
    ParityCheck
        ``value``: the lower end of the 95% interval of seconds of new over seconds of old rounds.
    """
    again, fresh = rounds[0], rounds[1:]

    def embed(sequences: Sequence[str]) -> torch.Tensor:
        return embedder.embed(sequences, tokens_per_batch=tokens_per_batch)

    embed(again)
    contest = interleave(
        {
            _FRESH: lambda number: embed(fresh[number % len(fresh)]),
            _AGAIN: lambda _: embed(again),
        },
        rounds=REPEAT_ROUNDS,
        device=embedder.spec.device,
        max_warmup_rounds=1,
    )
    return ParityCheck(
        arm=arm,
        check="repeated sequences",
        sentence=f"{len(again)} sequences seen before, against new ones: times as fast, at least",
        value=speedup_in(contest, _FRESH, _AGAIN).lower,
        limit=REPEAT_LIMIT,
        at_least=False,
    )


def timed_outputs(
    timed: torch.Tensor, untimed: torch.Tensor, *, arm: str, dtype: str
) -> ParityCheck:
    """Ask whether a timed round gave the vectors that the embedder gives otherwise (TEST01).

    Both float32 ``(n, width)``, of the same sequences; see :func:`agreement` for the limit.
    """
    return agreement(
        untimed,
        timed,
        arm=arm,
        check="outputs of timed rounds",
        sentence=f"{len(timed)} sequences of a timed round against the same embedded again",
        dtype=dtype,
    )
