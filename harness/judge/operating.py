"""What each arm reaches at thresholds that a user might deploy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.evidence import OperatingPoint
from harness.judge.evaluation import Level
from harness.judge.metrics import DEFAULT_THRESHOLD
from harness.spec import ArmName

SPECIFICITIES = {95: 1, 99: 200}
"""Specificities in percent, and the fewest host rows that a threshold is sought with."""

KEPT_PERCENT = 95
"""The baseline's threshold at this specificity is tried on both arms."""


def operating_points(before: Level, after: Level) -> tuple[OperatingPoint, ...]:
    """Return what both arms reach at one half, at wanted specificities and at a kept threshold.

    ``threshold 0.5``: as the rates elsewhere. ``specificity ≥ 0.95, own threshold`` (and 0.99 with
    at least 200 host rows): the lowest threshold at which so large a share of the arm's hosts, out
    of fold and pooled over seeds, is called host. ``specificity ≥ 0.95, baseline's threshold``:
    that of the baseline on both arms, as if it stayed deployed after the swap. The thresholds are
    found on the rows that they are then tried on, so that new data may do a little worse. Rates are
    of rows and seeds together; None where a class is missing, or nothing is called viral. Without
    hosts only one half is left.
    """
    arms = {ArmName.BASELINE: before, ArmName.CANDIDATE: after}
    points = [
        _point(level, arm, f"threshold {DEFAULT_THRESHOLD}", DEFAULT_THRESHOLD)
        for arm, level in arms.items()
    ]
    hosts = int(np.count_nonzero(before.labels == 0))
    for percent, fewest in SPECIFICITIES.items():
        if hosts < fewest:
            continue
        points += [
            _point(level, arm, _rule(percent, "own"), threshold_at(level, percent))
            for arm, level in arms.items()
        ]
        if percent == KEPT_PERCENT:
            kept = threshold_at(before, percent)
            points += [
                _point(level, arm, _rule(percent, "baseline's"), kept)
                for arm, level in arms.items()
            ]
    return tuple(points)


def threshold_at(level: Level, percent: int) -> float:
    """Return the lowest threshold at which ``percent`` of the hosts (or more) are called host.

    It is a probability that occurs, the lowest above all those hosts; the next number above 1, at
    which nothing is called viral, where none is above them. There must be a host.
    """
    chances = level.probabilities.astype(np.float64)
    hosts = np.sort(chances[:, level.labels == 0], axis=None)
    needed = -(-percent * len(hosts) // 100)  # rounded up, in whole numbers
    higher = chances[chances > hosts[needed - 1]]
    return float(higher.min()) if higher.size else float(np.nextafter(1.0, 2.0))


def _point(level: Level, arm: str, rule: str, threshold: float) -> OperatingPoint:
    called = level.probabilities.astype(np.float64) >= threshold
    viral = level.labels == 1
    return OperatingPoint(
        arm=arm,
        rule=rule,
        threshold=threshold,
        sensitivity=_share(called[:, viral]),
        specificity=_share(~called[:, ~viral]),
        precision=_share(np.broadcast_to(viral, called.shape)[called]),
    )


def _rule(percent: int, whose: str) -> str:
    return f"specificity ≥ {percent / 100:.2f}, {whose} threshold"


def _share(values: NDArray[np.bool_]) -> float | None:
    return int(np.count_nonzero(values)) / values.size if values.size else None
