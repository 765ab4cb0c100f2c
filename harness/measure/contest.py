"""Several arms in turn on equal inputs: warm-up until steady, paired rounds, a ratio to trust."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import median

import numpy as np

from embedders import InputError
from harness.costs import Contest, Speedup
from harness.measure.clock import clock_of, time_once

CONFIDENCE = 0.95
TOLERANCE = 0.02
"""Two windows of a steady arm differ by no more than this part."""
WINDOW_ROUNDS = 10
"""Rounds of a window, where they are fast."""
WINDOW_S = 10.0
"""A window of slow rounds is as many as fit into this time, and two at least."""

_FEWEST = 2
_FIRST, _SECOND = "first", "second"

Arms = Mapping[str, Callable[[int], object]]


def interleave(
    arms: Arms,
    *,
    rounds: int,
    device: str,
    max_warmup_rounds: int = 10,
    tolerance: float = TOLERANCE,
) -> Contest:
    """Time arms in turn, their order reversed every other round (A B, B A …).

    The machine's drift hits all arms of a round alike. Before that come rounds that do not count,
    until every arm is steady: the medians of its last two windows of rounds agree within
    ``tolerance``. A window is ten rounds. It is half of ``max_warmup_rounds`` where that is less,
    and where rounds are slow as many as take ten seconds together, but never less than two, because
    single rounds agree by chance. So two arms of 30 s a round are warm after four rounds at best,
    arms of milliseconds after ten by default, and after twenty if so many are allowed. Rounds must
    be of like work for this (:func:`harness.measure.like_subsets`).

    Parameters
    ----------
    arms
        By name; each is called with the number of the round. Numbers count from 0 through warm-up
        and counted rounds, so that no counted input was seen in the warm-up;
        :attr:`Contest.numbers` are those that count.
    rounds
        Rounds that count; an even number has each order equally often.
    device
        Where the arms compute: it is synchronised, and decides the clock.
    max_warmup_rounds
        Where the warm-up ends in any case. The contest is then marked as not steady; so it is if
        four rounds are not allowed, which is what it takes to tell.

    Raises
    ------
    InputError
        If there is no arm, or no round.
    """
    if not arms or rounds < 1 or max_warmup_rounds < 0:
        raise InputError(
            f"a contest needs arms and rounds: {len(arms)} arms, {rounds} rounds and "
            f"{max_warmup_rounds} warm-up rounds were asked for"
        )
    warmup: list[dict[str, float]] = []
    steady = False
    while not steady and len(warmup) < max_warmup_rounds:
        warmup.append(_time_round(arms, len(warmup), device))
        steady = _is_steady(warmup, max_warmup_rounds, tolerance)
    first = len(warmup)
    timed = [_time_round(arms, number, device) for number in range(first, first + rounds)]
    return Contest(
        arms=tuple(arms),
        seconds={arm: tuple(each[arm] for each in timed) for arm in arms},
        clock=clock_of(device),
        warmup_rounds=first,
        steady=steady,
    )


def speedup_in(
    contest: Contest, slow: str, fast: str, *, confidence: float = CONFIDENCE
) -> Speedup:
    """Compare two arms round by round: seconds of ``slow`` over seconds of ``fast``.

    Raises
    ------
    InputError
        If an arm did not take part, or there are fewer than two rounds.
    """
    pairs = list(zip(contest.of(slow), contest.of(fast), strict=True))
    return summarise_pairs(pairs, confidence=confidence)


def control(
    work: Callable[[int], object],
    *,
    rounds: int,
    device: str,
    max_warmup_rounds: int = 10,
    tolerance: float = TOLERANCE,
) -> Speedup:
    """Let one arm contend with itself (A/A): what the method finds where there is nothing.

    The interval must hold 1 (:func:`holds_one`), but for the one time in twenty that a 95% interval
    misses; its width is what the machine's noise alone amounts to.
    """
    contest = interleave(
        {_FIRST: work, _SECOND: work},
        rounds=rounds,
        device=device,
        max_warmup_rounds=max_warmup_rounds,
        tolerance=tolerance,
    )
    return speedup_in(contest, _FIRST, _SECOND)


def holds_one(speedup: Speedup) -> bool:
    """Tell whether an interval leaves it open that neither arm is faster."""
    return speedup.lower <= 1 <= speedup.upper


def summarise_pairs(
    pairs: Sequence[tuple[float, float]], *, confidence: float = CONFIDENCE
) -> Speedup:
    """Summarise paired seconds ``(baseline, candidate)`` into a speed-up with its interval.

    The interval is Student's t on the logarithms of the ratios, so it is symmetric in "faster" and
    "slower".

    Raises
    ------
    InputError
        If there are fewer than two pairs: one has no spread.
    """
    from scipy import stats  # noqa: PLC0415 - slow to import, needed once a run

    if len(pairs) < 2:
        raise InputError(f"an interval needs at least 2 paired rounds, not {len(pairs)}")
    logs = np.log([before / after for before, after in pairs])
    centre = float(logs.mean())
    error = float(logs.std(ddof=1) / math.sqrt(len(logs)))
    reach = float(stats.t.ppf((1 + confidence) / 2, df=len(logs) - 1)) * error
    return Speedup(
        baseline_s=tuple(before for before, _ in pairs),
        candidate_s=tuple(after for _, after in pairs),
        ratio=math.exp(centre),
        lower=math.exp(centre - reach),
        upper=math.exp(centre + reach),
        confidence=confidence,
    )


def _time_round(arms: Arms, number: int, device: str) -> dict[str, float]:
    names = list(arms) if number % 2 == 0 else list(arms)[::-1]
    return {name: time_once(partial(arms[name], number), device) for name in names}


def _is_steady(warmup: Sequence[Mapping[str, float]], most_rounds: int, tolerance: float) -> bool:
    """Tell whether the last two windows of every arm agree."""
    round_s = median(sum(each.values()) for each in warmup)
    fitting = int(min(WINDOW_ROUNDS, most_rounds // 2, WINDOW_S / round_s))
    window = max(_FEWEST, fitting)
    if len(warmup) < 2 * window:
        return False
    return all(
        _agree([each[arm] for each in warmup[-2 * window :]], tolerance) for arm in warmup[0]
    )


def _agree(seconds: Sequence[float], tolerance: float) -> bool:
    half = len(seconds) // 2
    low, high = sorted((median(seconds[:half]), median(seconds[half:])))
    return high <= low * (1 + tolerance)
