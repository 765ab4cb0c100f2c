"""How well probabilities fit labels; every rate follows from the stored predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedders.errors import InputError
from harness.evidence import Metrics

DEFAULT_THRESHOLD = 0.5

RATES = (
    "accuracy",
    "precision",
    "recall",
    "specificity",
    "f1",
    "mcc",
    "roc_auc",
    "pr_auc",
    "brier",
)
"""Fields of a :class:`Metrics` record that are rates, in the order tables show them."""


def score(
    labels: Sequence[int] | NDArray[np.integer[Any]],
    probabilities: Sequence[float] | NDArray[np.floating[Any]],
    threshold: float = DEFAULT_THRESHOLD,
) -> Metrics:
    """Score probabilities of viral against labels.

    Parameters
    ----------
    labels
        0 (host) or 1 (viral), ``(n,)``, at least one.
    probabilities
        Between 0 and 1, ``(n,)``.
    threshold
        A row is called viral when its probability is at least this.

    Raises
    ------
    InputError
        If there is nothing to score, the lengths differ, or a value is out of range or NaN.

    Examples
    --------
    >>> score([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9]).recall
    0.5
    """
    truth = np.asarray(labels, dtype=np.int64)
    chance = np.asarray(probabilities, dtype=np.float64)
    if truth.ndim != 1 or truth.shape != chance.shape or not truth.size:
        raise InputError(
            f"labels of shape {truth.shape} and probabilities of shape {chance.shape}: "
            f"one of each per row is needed, and at least one row"
        )
    if not np.isin(truth, (0, 1)).all():
        raise InputError("a label must be 0 (host) or 1 (viral)")
    if not ((chance >= 0) & (chance <= 1)).all():
        raise InputError("a probability must be between 0 and 1, and not NaN")
    called = chance >= threshold
    positive = truth == 1
    tn = int(np.count_nonzero(~called & ~positive))
    fp = int(np.count_nonzero(called & ~positive))
    fn = int(np.count_nonzero(~called & positive))
    tp = int(np.count_nonzero(called & positive))
    # whole-number product: exact, where a float product of large counts would round
    mcc_square = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return Metrics(
        n=truth.size,
        threshold=threshold,
        tn=tn,
        fp=fp,
        fn=fn,
        tp=tp,
        accuracy=(tp + tn) / truth.size,
        precision=_ratio(tp, tp + fp),
        recall=_ratio(tp, tp + fn),
        specificity=_ratio(tn, tn + fp),
        f1=_ratio(2 * tp, 2 * tp + fp + fn),
        mcc=_ratio(tp * tn - fp * fn, mcc_square**0.5),
        roc_auc=roc_auc(truth, chance),
        pr_auc=pr_auc(truth, chance),
        brier=float(np.mean((chance - truth) ** 2)),
    )


def roc_auc(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> float | None:
    """Chance that a viral row scores above a host row, ties counting half; ``(n,)`` each.

    The Mann-Whitney form (Hanley and McNeil 1982). None if a class is missing.
    """
    below, tied = _hosts_below(labels, probabilities)
    viral = int(np.count_nonzero(labels))
    return _ratio(float(np.sum(below + tied / 2)), viral * (len(labels) - viral))


def pr_auc(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> float | None:
    """Average precision: the sum of precision times the step in recall, without interpolation.

    Scikit-learn's definition; ``(n,)`` each. None if there is no viral row.
    """
    viral = int(np.count_nonzero(labels))
    if not viral:
        return None
    order = np.argsort(-probabilities, kind="stable")
    # equal scores are called together: only the last row of each run is a threshold
    last = np.append(np.flatnonzero(np.diff(probabilities[order])), len(order) - 1)
    hits = np.cumsum(labels[order])[last]
    precision = hits / (last + 1)
    return float(np.sum(np.diff(hits, prepend=0) / viral * precision))


def _hosts_below(
    labels: NDArray[np.int64], probabilities: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each viral row: how many host rows score lower, and how many the same."""
    hosts = np.sort(probabilities[labels == 0])
    viral = probabilities[labels == 1]
    below = np.searchsorted(hosts, viral, side="left")
    return below, np.searchsorted(hosts, viral, side="right") - below


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
