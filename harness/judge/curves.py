"""ROC and precision-recall curves of one arm, averaged over seeds on a fixed grid."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.evidence import Curve
from harness.judge.evaluation import Level

STEPS = 100
"""A curve is given at 0, 1/100, …, 1."""

Figures = NDArray[np.floating[Any]]


def curves(level: Level, *, arm: str) -> tuple[Curve, ...]:
    """Return the mean ROC and precision-recall curve over seeds, each at 101 places.

    ROC: sensitivity at fixed false-positive rates, the means of vertical averaging; between two
    thresholds a straight line, which is what drawing lots between them reaches. Precision-recall:
    precision at fixed recalls; between two thresholds the false positives, not the precision, lie
    on a straight line, so that a chord does not promise too much. Its value at recall 0 is the
    limit from above. Where several thresholds share a place, the best of them counts.

    None at all where a class is missing.

    References
    ----------
    Fawcett 2006, "An introduction to ROC analysis", Pattern Recognition Letters 27:861, algorithm
    3; Davis and Goadrich 2006, "The relationship between precision-recall and ROC curves", ICML.
    """
    if len(np.unique(level.labels)) < 2:
        return ()
    counted = [counts(level.labels, each.astype(np.float64)) for each in level.probabilities]
    grid = tuple(float(step / STEPS) for step in range(STEPS + 1))
    return tuple(
        Curve(
            arm, kind, grid, tuple(map(float, np.mean([curve(*each) for each in counted], axis=0)))
        )
        for kind, curve in (("roc", sensitivities), ("pr", precisions))
    )


def counts(
    labels: NDArray[np.int64], chances: Figures
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return false and true positives at every threshold, from none called to all called.

    Rows of equal probability are called together.
    """
    order = np.argsort(-chances, kind="stable")
    last = np.append(np.flatnonzero(np.diff(chances[order])), len(order) - 1)
    hits = np.append(0, np.cumsum(labels[order])[last])
    return np.append(0, last + 1) - hits, hits


def sensitivities(alarms: NDArray[np.int64], hits: NDArray[np.int64]) -> Figures:
    """Return the sensitivity at each false-positive rate of the grid; counts as :func:`counts`."""
    wanted = _places(alarms[-1])
    before = np.searchsorted(alarms, wanted, side="right") - 1  # the best at this rate
    after = np.minimum(before + 1, len(alarms) - 1)
    return np.asarray(_between(wanted, alarms, hits, before, after) / hits[-1])


def precisions(alarms: NDArray[np.int64], hits: NDArray[np.int64]) -> Figures:
    """Return the precision at each recall of the grid; counts as :func:`counts`."""
    wanted = _places(hits[-1])
    wanted[0] = wanted[1] / 1e9  # 0/0 at 0 itself
    after = np.searchsorted(hits, wanted, side="left")  # the best at this recall
    return np.asarray(wanted / (wanted + _between(wanted, hits, alarms, after - 1, after)))


def _places(whole: np.int64) -> Figures:
    """Return the grid in counts; divided last, so that a whole count stays whole."""
    return np.arange(STEPS + 1) * whole / STEPS


def _between(
    wanted: Figures,
    x: NDArray[np.int64],
    y: NDArray[np.int64],
    before: NDArray[np.intp],
    after: NDArray[np.intp],
) -> Figures:
    """Interpolate ``y`` at ``wanted`` along the straight lines from ``before`` to ``after``."""
    share = (wanted - x[before]) / np.maximum(x[after] - x[before], 1)
    return np.asarray(y[before] + share * (y[after] - y[before]))
