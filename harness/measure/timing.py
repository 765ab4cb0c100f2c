"""Rounds of like work, their seconds, and the rates that follow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from statistics import median

from embedders import InputError
from harness.costs import Ceiling, Contest, Rate
from harness.measure.clock import time_once
from harness.results import Throughput

PerRound = int | Sequence[int]
"""Work of each counted round, or of any of them where all are alike."""


def like_subsets(lengths: Sequence[int], *, subsets: int, rows: int) -> list[list[int]]:
    """Draw disjoint subsets that share the length mix of the whole.

    Rows are ordered by length and dealt out at even steps, so no subset is easier than another
    and no round repeats an input of an earlier one.

    Parameters
    ----------
    lengths
        Residues of each row, ``(n,)``; ``n`` must be at least ``subsets · rows``.

    Returns
    -------
    list[list[int]]
        ``subsets`` lists of ``rows`` indices.

    Raises
    ------
    InputError
        If there are too few rows.

    Examples
    --------
    >>> like_subsets([5, 1, 4, 2, 3, 6], subsets=2, rows=3)
    [[1, 4, 0], [3, 2, 5]]
    """
    needed = subsets * rows
    if len(lengths) < needed:
        raise InputError(
            f"{subsets} rounds of {rows} distinct sequences need {needed}, "
            f"but the data set has {len(lengths)}: lower throughput.sequences or rounds"
        )
    order = sorted(range(len(lengths)), key=lambda i: (lengths[i], i))
    picks = [order[position * len(order) // needed] for position in range(needed)]
    return [picks[start::subsets] for start in range(subsets)]


def time_rounds(
    work: Callable[[int], object], *, rounds: int, warmup_rounds: int, device: str
) -> list[float]:
    """Call ``work`` with the number of each round; return the seconds of those that count."""
    seconds = [time_once(partial(work, number), device) for number in range(warmup_rounds + rounds)]
    return seconds[warmup_rounds:]


def summarise_rounds(
    arm: str,
    timer: str,
    *,
    residues: Sequence[int],
    sequences: int,
    seconds: Sequence[float],
) -> Throughput:
    """Turn timed rounds into rates; each is the median over rounds of work over time.

    Parameters
    ----------
    timer
        What held the watch, for the record.
    residues
        Residues of each round that enter the model; ``sequences`` is the same in every round.
    """
    pairs = list(zip(residues, seconds, strict=True))
    return Throughput(
        arm=arm,
        timer=timer,
        residues_per_round=tuple(residues),
        sequences_per_round=sequences,
        seconds=tuple(seconds),
        residues_per_s=median(count / time_s for count, time_s in pairs),
        sequences_per_s=median(sequences / time_s for time_s in seconds),
    )


def rate(
    arm: str,
    contest: Contest,
    residues_per_round: PerRound,
    sequences_per_round: PerRound,
    flops_per_round: PerRound,
    ceiling: Ceiling,
    padded_flops_per_round: PerRound | None = None,
) -> Rate:
    """Turn one arm's rounds into rates and into its part of the ceiling.

    ``utilisation = useful FLOPs / (time · ceiling)``. Each figure is the median over rounds.

    Parameters
    ----------
    residues_per_round, sequences_per_round
        What enters the model.
    flops_per_round
        :func:`harness.measure.useful_flops` of each counted round (:attr:`Contest.numbers`).
    ceiling
        Of the arm's own device and dtype, measured in the same run.
    padded_flops_per_round
        :func:`harness.measure.padded_flops` of an arm that pads.

    Raises
    ------
    InputError
        If the arm did not take part, or there is not one figure per counted round.
    """
    seconds = contest.of(arm)

    def per_second(work: PerRound) -> float:
        counts = [work] * len(seconds) if isinstance(work, int) else work
        if len(counts) != len(seconds):
            raise InputError(f"{len(counts)} figures of {arm!r} for {len(seconds)} counted rounds")
        return median(count / time_s for count, time_s in zip(counts, seconds, strict=True))

    padded = None if padded_flops_per_round is None else per_second(padded_flops_per_round)
    flops_per_s = per_second(flops_per_round)
    return Rate(
        arm=arm,
        residues_per_s=per_second(residues_per_round),
        sequences_per_s=per_second(sequences_per_round),
        flops_per_s=flops_per_s,
        utilisation=flops_per_s / ceiling.flops_per_s,
        padded_utilisation=None if padded is None else padded / ceiling.flops_per_s,
    )
