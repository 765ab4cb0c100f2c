"""Is the candidate worse by no more than a margin? For paired rows, in clusters, over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedders.errors import InputError
from harness.evidence import Decision, NonInferiority

Counts = NDArray[np.int64]
Figures = NDArray[np.floating[Any]]

MOST_CLUSTERS = 1_000_000
"""A need for more clusters than this is no advice, and is given as None."""


@dataclass(frozen=True, slots=True)
class _Spread:
    """Where a standard error comes from, and what would become of it with other clusters alike.

    ``floor`` is the largest of :func:`tango_error`. Every method takes numbers of clusters,
    ``(n,)``: the variance between clusters and the square of the floor fall in proportion, the
    variance between seeds stays.
    """

    cluster_variance: float
    seed_variance: float
    floor: float
    clusters: int
    seeds: int
    alpha: float

    def error(self, counts: Counts) -> Figures:
        """Return the standard errors, above 0."""
        share = self.clusters / counts
        variance = self.cluster_variance * share + self.seed_variance
        return np.maximum(np.sqrt(variance), self.floor * np.sqrt(share))

    def freedom(self, counts: Counts) -> Figures:
        """Return Satterthwaite's degrees of freedom, at least 1."""
        between = self.cluster_variance * self.clusters / counts
        whole = between + self.seed_variance
        if not whole.all():  # then all are 0
            return counts - 1.0
        below = between**2 / (counts - 1) + self.seed_variance**2 / max(self.seeds - 1, 1)
        return np.asarray(whole**2 / below)

    def reach(self, counts: Counts) -> Figures:
        """Return how far the interval goes to either side."""
        from scipy import stats  # noqa: PLC0415 - slow to import, needed at the end of a run

        quantiles = stats.t.ppf(1 - self.alpha, self.freedom(counts))
        return np.asarray(quantiles * self.error(counts))


def noninferiority(
    baseline_correct: NDArray[np.bool_],
    candidate_correct: NDArray[np.bool_],
    clusters: Sequence[str] | NDArray[Any],
    *,
    margin: float = 0.01,
    alpha: float = 0.025,
) -> NonInferiority:
    """Compare two arms on the rows of one class: is less than ``margin`` lost?

    With clusters k = 1 … K of m_k rows, N rows and S seeds, d_ks is what the candidate got right
    more than the baseline in cluster k at seed s, d̄_k its mean over seeds, D = Σ d̄_k / N, and
    D_s the difference at seed s alone::

        V_c  = K/(K-1) · Σ (d̄_k - D·m_k)² / N²           between clusters
        V_s  = variance of D_s (ddof = 1) / S             between retrainings
        SE   = max(√(V_c + V_s), largest SE_T of a seed)  SE_T: see tango_error
        df   = (V_c + V_s)² / (V_c²/(K-1) + V_s²/(S-1))   Satterthwaite; K-1 where both are 0
        L, U = D ∓ t(1 - alpha, df) · SE

    PASS if L > -margin, FAIL if U < -margin, else INCONCLUSIVE. The rows of a cluster need not be
    independent of each other; clusters must be. The floor SE_T keeps the interval from shrinking
    to a point where the arms agree on (almost) every row.

    Parameters
    ----------
    baseline_correct, candidate_correct
        bool ``(seeds, n)``: whether each arm got the row right. Column ``i`` is the same row, and
        row ``s`` the same seed, in both.
    clusters
        Genome, organism or homology cluster of each row, ``(n,)``.
    margin
        How much may be lost, in absolute rate; above 0 and below 1.
    alpha
        One-sided level, above 0 and below one half.

    Returns
    -------
    NonInferiority
        Never a NaN. What cannot be estimated is None and makes the decision INCONCLUSIVE: without
        rows or seeds every figure, with fewer than 2 clusters the interval, with one seed the
        variance between retrainings (the interval is then finite, but leaves it out).
        ``clusters_needed`` (INCONCLUSIVE only): the fewest, of the same kind, that would move the
        interval off the margin if the difference and the variance between seeds stayed as they
        are; None where no number would, so that more seeds are needed.

    Raises
    ------
    InputError
        If the arrays are not boolean or do not fit each other, or a level is out of range.

    References
    ----------
    V_c: Obuchowski 1998, Statistics in Medicine 17:1495. Non-inferiority of clustered pairs:
    Durkalski et al. 2003, Statistics in Medicine 22:279; Yang, Sun and Hardin 2012, Computational
    Statistics and Data Analysis 56:1301. V_s: Bouthillier et al. 2021, MLSys. df: Satterthwaite
    1946, Biometrics Bulletin 2:110.

    Examples
    --------
    >>> right = np.ones((2, 1000), dtype=np.bool_)
    >>> same = noninferiority(right, right, np.arange(1000) // 50)
    >>> same.difference, round(same.upper, 4), str(same.decision)
    (0.0, 0.0066, 'PASS')
    """
    names = _checked(baseline_correct, candidate_correct, clusters, margin, alpha)
    seeds, rows = baseline_correct.shape
    labels, member = np.unique(names, return_inverse=True)
    nothing = _nothing(rows, len(labels), seeds, margin, alpha)
    if not rows or not seeds:
        return nothing
    gains = candidate_correct.astype(np.int64) - baseline_correct
    floor = max(
        tango_error(int(lost), int(won), rows, margin)
        for lost, won in zip((gains < 0).sum(axis=1), (gains > 0).sum(axis=1), strict=True)
    )
    seed_variance = _seed_variance(gains)
    difference = int(gains.sum()) / (seeds * rows)
    known = replace(
        nothing,
        difference=difference,
        seed_error=None if seed_variance is None else math.sqrt(seed_variance),
        tango_error=floor,
    )
    if len(labels) < 2:
        return known
    variance = _cluster_variance(gains, member)
    spread = _Spread(variance, seed_variance or 0.0, floor, len(labels), seeds, alpha)
    return _with_interval(known, difference, spread)


def tango_error(only_baseline: int, only_candidate: int, rows: int, margin: float) -> float:
    """Return the standard error of a paired difference of rates if ``margin`` is truly lost.

    Tango 1998 (Statistics in Medicine 17:891, equations 24 to 26): the variance at the restricted
    maximum of the likelihood. With b rows that only the baseline gets right, c that only the
    candidate does, N rows, and loss Δ = p_b - p_c, p̂_c is the root ≥ 0 of ::

        2N·q² + B·q - cΔ(1-Δ) = 0   with   B = (2N - b + c)Δ - b - c

    and the error √((2·p̂_c + Δ(1-Δ)) / N), so that Tango's score is (c - b + NΔ) / (N · error).
    Above 0 even where b = c = 0.
    """
    spread = margin * (1 - margin)
    linear = (2 * rows - only_baseline + only_candidate) * margin - only_baseline - only_candidate
    root = math.sqrt(linear**2 + 8 * rows * only_candidate * spread)
    chance = (root - linear) / (4 * rows)
    return math.sqrt((2 * chance + spread) / rows)


def _with_interval(known: NonInferiority, difference: float, spread: _Spread) -> NonInferiority:
    """Add what follows from the difference and its variances."""
    here = np.array([known.clusters])
    reach = float(spread.reach(here)[0])
    lower, upper = difference - reach, difference + reach
    if lower > -known.margin:
        decision = Decision.PASS
    elif upper < -known.margin:
        decision = Decision.FAIL
    else:
        decision = Decision.INCONCLUSIVE
    open_yet = decision is Decision.INCONCLUSIVE
    return replace(
        known,
        lower=lower,
        upper=upper,
        standard_error=float(spread.error(here)[0]),
        cluster_error=math.sqrt(spread.cluster_variance),
        degrees_of_freedom=float(spread.freedom(here)[0]),
        decision=decision if known.seeds > 1 else Decision.INCONCLUSIVE,
        clusters_needed=(
            _clusters_needed(spread, abs(difference + known.margin)) if open_yet else None
        ),
    )


def _cluster_variance(gains: NDArray[np.int64], member: NDArray[np.intp]) -> float:
    """Return V_c; ``member`` numbers each row's cluster from 0, at least 2 of them."""
    seeds, rows = gains.shape
    sizes = np.bincount(member)
    totals = np.zeros_like(sizes)
    np.add.at(totals, member, gains.sum(axis=0))
    # whole numbers until the division: clusters that gain alike leave exactly nothing
    residuals = (totals * rows - totals.sum() * sizes) / (seeds * rows)
    count = len(sizes)
    return float(count / (count - 1) * np.sum(residuals**2) / rows**2)


def _seed_variance(gains: NDArray[np.int64]) -> float | None:
    """Return V_s, or None with one seed."""
    seeds, rows = gains.shape
    if seeds < 2:
        return None
    totals = gains.sum(axis=1)
    residuals = (totals * seeds - totals.sum()) / (seeds * rows)
    return float(np.sum(residuals**2) / (seeds - 1) / seeds)


def _clusters_needed(spread: _Spread, gap: float) -> int | None:
    """Return the fewest clusters, more than there are, whose interval reaches less than ``gap``.

    First in steps of some 3%, then one by one between the last two of them.
    """
    least = spread.clusters + 1
    if least > MOST_CLUSTERS:
        return None
    steps = np.unique(np.geomspace(least, MOST_CLUSTERS, 400).round().astype(np.int64))
    enough = np.flatnonzero(spread.reach(steps) < gap)
    if not enough.size:
        return None
    before = steps[enough[0] - 1] if enough[0] else least - 1
    between = np.arange(before + 1, steps[enough[0]] + 1)
    return int(between[np.argmax(spread.reach(between) < gap)])


def _nothing(rows: int, clusters: int, seeds: int, margin: float, alpha: float) -> NonInferiority:
    return NonInferiority(
        difference=None,
        lower=None,
        upper=None,
        standard_error=None,
        cluster_error=None,
        seed_error=None,
        tango_error=None,
        degrees_of_freedom=None,
        rows=rows,
        clusters=clusters,
        seeds=seeds,
        margin=margin,
        alpha=alpha,
        decision=Decision.INCONCLUSIVE,
        clusters_needed=None,
    )


def _checked(
    before: NDArray[np.bool_],
    after: NDArray[np.bool_],
    clusters: Sequence[str] | NDArray[Any],
    margin: float,
    alpha: float,
) -> NDArray[Any]:
    names = np.asarray(clusters)
    if before.dtype != np.bool_ or after.dtype != np.bool_:
        raise InputError(f"right or wrong is boolean, not {before.dtype} and {after.dtype}")
    if before.ndim != 2 or before.shape != after.shape or names.shape != before.shape[1:]:
        raise InputError(
            f"baseline {before.shape}, candidate {after.shape} and clusters {names.shape} do not "
            f"fit: (seeds, n) of each arm and (n,) clusters are needed"
        )
    if not 0 < margin < 1:
        raise InputError(f"the margin must lie between 0 and 1, not {margin}")
    if not 0 < alpha < 0.5:
        raise InputError(f"alpha must lie between 0 and one half, not {alpha}")
    return names
