"""Wall-clock time of one piece of work, alone or against another."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median

import numpy as np
import torch

from embedders import InputError
from harness.results import Speedup, Throughput

CONFIDENCE = 0.95


def synchronise(device: str) -> None:
    """Wait until the device has done all it was given, so that a clock read means something."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


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


def time_once(work: Callable[[], object], device: str) -> float:
    """Return the seconds that ``work`` takes, the device synchronised before and after."""
    synchronise(device)
    start = time.perf_counter()
    work()
    synchronise(device)
    return time.perf_counter() - start


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


def paired_speedup(
    baseline: Callable[[int], object],
    candidate: Callable[[int], object],
    *,
    rounds: int,
    warmup_rounds: int,
    device: str,
) -> Speedup:
    """Time both arms on the same input in turn (A B, B A, …) and compare pair by pair.

    The machine's drift hits both halves of a pair alike. The interval is Student's t on the
    logarithms of the ratios, so it is symmetric in "faster" and "slower".

    Parameters
    ----------
    baseline, candidate
        Called with the round's number, warm-up rounds first.
    rounds
        Pairs that count, at least 2.

    Returns
    -------
    Speedup
        Ratios baseline seconds / candidate seconds, geometric mean and 95% interval.
    """
    pairs: list[tuple[float, float]] = []
    for index in range(warmup_rounds + rounds):
        order = (baseline, candidate) if index % 2 == 0 else (candidate, baseline)
        first, second = (time_once(partial(work, index), device) for work in order)
        pairs.append((first, second) if index % 2 == 0 else (second, first))
    return summarise_pairs(pairs[warmup_rounds:])


def summarise_pairs(pairs: Sequence[tuple[float, float]]) -> Speedup:
    """Summarise paired seconds ``(baseline, candidate)`` into a speed-up with its interval."""
    from scipy import stats  # noqa: PLC0415 - slow to import, needed once a run

    logs = np.log([before / after for before, after in pairs])
    centre = float(logs.mean())
    error = float(logs.std(ddof=1) / math.sqrt(len(logs)))
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, df=len(logs) - 1)) * error
    return Speedup(
        baseline_s=tuple(before for before, _ in pairs),
        candidate_s=tuple(after for _, after in pairs),
        ratio=math.exp(centre),
        lower=math.exp(centre - reach),
        upper=math.exp(centre + reach),
        confidence=CONFIDENCE,
    )
