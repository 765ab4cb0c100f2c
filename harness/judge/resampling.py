"""Secondary metrics of both arms with intervals, by resampling groups and seeds together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedders.errors import InputError
from harness.evidence import Estimate, Secondary
from harness.judge.evaluation import Level
from harness.judge.metrics import DEFAULT_THRESHOLD

METRICS = ("f1", "mcc", "roc_auc", "pr_auc", "brier")
"""The secondary metrics, in the order tables show them."""

CONFIDENCE = 0.95

MOST_SKIPPED = 0.05
"""No interval is given where a larger share of the resamples left the metric undefined: what is
left would be a choice of the lucky ones. Some 5% of them hold no group of a class with 3 groups."""

CELLS_AT_ONCE = 2**18
"""Rows times resamples that are worked on together: few enough to stay in the processor's cache."""

Figures = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """The rows of one seed in descending order of their probabilities, each class by itself.

    ``viral`` and ``hosts`` hold the group of each row, numbered from 0. For each viral row:
    ``together`` viral rows and ``as_high`` hosts are called no later than it is, and ``higher``
    hosts before it.
    """

    viral: NDArray[np.intp]
    hosts: NDArray[np.intp]
    together: NDArray[np.intp]
    higher: NDArray[np.intp]
    as_high: NDArray[np.intp]

    @classmethod
    def of(cls, labels: NDArray[np.int64], member: NDArray[np.intp], chances: Figures) -> Ranking:
        """Rank the rows; labels, numbers of groups and probabilities are ``(n,)``."""
        viral, hosts = (
            rows[np.argsort(-chances[rows])]
            for rows in (np.flatnonzero(labels == k) for k in (1, 0))
        )
        lower, low = -chances[viral], -chances[hosts]
        return cls(
            viral=member[viral],
            hosts=member[hosts],
            together=np.searchsorted(lower, lower, side="right"),
            higher=np.searchsorted(low, lower, side="left"),
            as_high=np.searchsorted(low, lower, side="right"),
        )

    def areas(self, weights: Figures) -> tuple[Figures, Figures]:
        """Return the areas under the ROC and the precision-recall curve, ``(r,)`` each.

        ``weights``: of each group in each resample, ``(groups, r)``. Sorting is done once for all
        resamples. Both areas equal scikit-learn's with ``sample_weight``; NaN without the classes
        that they need.
        """
        drawn = weights[self.viral]
        nobody = np.zeros((1, weights.shape[1]))
        hits = np.vstack([nobody, np.cumsum(drawn, axis=0)])
        alarms = np.vstack([nobody, np.cumsum(weights[self.hosts], axis=0)])
        called_hits, as_high = hits[self.together], alarms[self.as_high]
        called = called_hits + as_high
        precision = np.divide(called_hits, called, out=called_hits, where=called > 0)
        beaten = np.einsum("ij,ij->j", drawn, alarms[-1] - (alarms[self.higher] + as_high) / 2)
        steps = (drawn * precision).sum(axis=0)
        return _ratio(beaten, hits[-1] * alarms[-1]), _ratio(steps, hits[-1])


@dataclass(frozen=True, slots=True, eq=False)
class _Arm:
    """What one arm's metrics are made of: sums by group, and a ranking per seed.

    ``viral`` and ``hosts`` are numbers of rows ``(groups,)``; ``hits``, ``alarms`` and ``squares``
    (of errors, for Brier) are ``(seeds, groups)``.
    """

    viral: Figures
    hosts: Figures
    hits: Figures
    alarms: Figures
    squares: Figures
    rankings: tuple[Ranking, ...]

    @classmethod
    def of(cls, level: Level, member: NDArray[np.intp], groups: int) -> _Arm:
        def sums(values: NDArray[Any]) -> Figures:
            return np.stack([np.bincount(member, each, groups) for each in values])

        viral = level.labels == 1
        chances = level.probabilities.astype(np.float64)
        called = chances >= DEFAULT_THRESHOLD
        return cls(
            viral=sums(viral[np.newaxis])[0],
            hosts=sums(~viral[np.newaxis])[0],
            hits=sums(called & viral),
            alarms=sums(called & ~viral),
            squares=sums((chances - level.labels) ** 2),
            rankings=tuple(Ranking.of(level.labels, member, each) for each in chances),
        )

    def metrics(self, weights: Figures) -> Figures:
        """Return every metric with groups weighted, NaN where it is undefined.

        ``weights``: ``(groups, r)``; the result: ``(metrics, seeds, r)``.
        """
        # matrix products of whole numbers alone: others differ in their last digit from processor
        # to processor, and the figures of a stored run must be found again to the digit
        viral, hosts = self.viral @ weights, self.hosts @ weights
        hits, alarms = self.hits @ weights, self.alarms @ weights
        misses, passed = viral - hits, hosts - alarms
        margins = (hits + alarms) * viral * hosts * (passed + misses)
        areas = [ranking.areas(weights) for ranking in self.rankings]
        squares = np.stack([(each[:, np.newaxis] * weights).sum(axis=0) for each in self.squares])
        return np.stack(
            [
                _ratio(2 * hits, 2 * hits + alarms + misses),
                _ratio(hits * passed - alarms * misses, np.sqrt(margins)),
                np.stack([roc for roc, _ in areas]),
                np.stack([pr for _, pr in areas]),
                _ratio(squares, viral + hosts),
            ]
        )

    def means(self, weights: Figures, seeds: Figures) -> Figures:
        """Average each metric over seeds as often as each was drawn; ``(metrics, r)``.

        ``seeds``: ``(seeds, r)``. NaN where a metric is undefined for a seed that was drawn.
        """
        weighted = np.where(seeds > 0, self.metrics(weights) * seeds, 0)
        return np.asarray(weighted.sum(axis=1) / seeds.sum(axis=0))


def secondary(
    before: Level, after: Level, *, resamples: int = 1000, seed: int = 0
) -> tuple[tuple[Secondary, ...], int]:
    """Give each secondary metric of both arms, and their difference, with a 95% interval.

    Values are means over seeds. Intervals are percentiles of a crossed bootstrap: each resample
    draws as many groups as there are, and as many seeds, both with replacement, and takes the same
    ones for both arms. Its variance errs on the large side where a row's deviation in one seed says
    nothing of the other rows and seeds.

    Parameters
    ----------
    before, after
        The baseline's and the candidate's rows, in one order.
    resamples
        How many, at least 1.
    seed
        Of the draws.

    Returns
    -------
    tuple[tuple[Secondary, ...], int]
        One record for each of :data:`METRICS`, and the number of resamples behind the intervals:
        those without one of the classes are left out. A metric that is undefined for a seed, e.g.
        an area without hosts, is None. So are the bounds with fewer than two groups of a class, or
        where the metric is undefined in more than 5% of the resamples. With one seed the interval
        leaves out what another training would change.

    Raises
    ------
    InputError
        If ``resamples`` is below 1.

    References
    ----------
    Owen 2007, "The pigeonhole bootstrap", Annals of Applied Statistics 1:386.
    """
    if resamples < 1:
        raise InputError(f"resamples must be at least 1, not {resamples}")
    names, member = np.unique(before.groups, return_inverse=True)
    baseline, candidate = (_Arm.of(level, member, len(names)) for level in (before, after))
    once = np.ones((len(names), 1)), np.ones((len(before.probabilities), 1))
    old, new = (arm.means(*once)[:, 0] for arm in (baseline, candidate))
    nothing: Figures = np.zeros((len(METRICS), 0))
    pieces = [(nothing, nothing)]
    for drawn in _draws(baseline, resamples, seed):
        pieces.append((baseline.means(*drawn), candidate.means(*drawn)))
    olds, news = (np.hstack(each) for each in zip(*pieces, strict=True))
    records = tuple(
        Secondary(
            metric,
            baseline=_estimate(old[row], olds[row], resamples),
            candidate=_estimate(new[row], news[row], resamples),
            difference=_estimate(new[row] - old[row], news[row] - olds[row], resamples),
        )
        for row, metric in enumerate(METRICS)
    )
    return records, olds.shape[1]


def _draws(arm: _Arm, resamples: int, seed: int) -> Iterator[tuple[Figures, Figures]]:
    """Yield how often each group ``(groups, r)`` and each seed ``(seeds, r)`` was drawn.

    A few resamples at a time, and only those in which both classes have a row.
    """
    if min(np.count_nonzero(arm.viral), np.count_nonzero(arm.hosts)) < 2:
        return
    of_groups, of_seeds = np.random.default_rng(seed).spawn(2)
    width = max(1, int(CELLS_AT_ONCE // (arm.viral + arm.hosts).sum()))
    for start in range(0, resamples, width):
        groups, seeds = (
            random.multinomial(each, np.full(each, 1 / each), size=min(width, resamples - start))
            for random, each in ((of_groups, len(arm.viral)), (of_seeds, len(arm.hits)))
        )
        usable = (groups @ arm.viral > 0) & (groups @ arm.hosts > 0)
        yield groups[usable].T.astype(np.float64), seeds[usable].T.astype(np.float64)


def _estimate(value: np.floating[Any], sample: Figures, resamples: int) -> Estimate:
    if np.isnan(value):
        return Estimate(None, None, None)
    known = sample[~np.isnan(sample)]
    if len(known) < (1 - MOST_SKIPPED) * resamples:
        return Estimate(float(value), None, None)
    tail = (1 - CONFIDENCE) / 2
    lower, upper = np.quantile(known, [tail, 1 - tail])
    return Estimate(float(value), float(lower), float(upper))


def _ratio(part: Figures, whole: Figures) -> Figures:
    """Divide, giving NaN where there is nothing to divide by."""
    empty = np.full(np.broadcast_shapes(part.shape, whole.shape), np.nan)
    return np.asarray(np.divide(part, whole, out=empty, where=whole != 0))
