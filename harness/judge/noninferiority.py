"""Is the candidate worse by no more than a margin? For paired rows, in clusters, over seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedders.errors import InputError
from harness.evidence import Decision, NonInferiority
from harness.judge.spread import Counts, Figures, Spread, spread_of, tango_error

MOST_CLUSTERS = 1_000_000
"""A need for more clusters than this is no advice, and is given as None."""

_ANY_LEVEL = 0.025
"""Stands where a level is needed that has no say."""


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

        V_c  = K/(K-1) · Σ (d̄_k - D·m_k)² / N²            between clusters
        V_s  = variance of D_s (ddof = 1) / S              between retrainings
        V_f  = design effect · largest SE_T² of a seed     a floor for V_c: see spread_of
        SE   = √(max(V_c, V_f) + V_s)
        df   = (V_c + V_s)² / (V_c²/(K*-1) + V_s²/(S-1))   Satterthwaite; K*-1 where both are 0
        q    = t(1 - alpha, df)
        L, U = D ∓ q' · SE                                 q' ≥ q: see unskewed

    with K* = N² / Σ m_k², which is K where all clusters are of one size. PASS if L > -margin, FAIL
    if U < -margin, else INCONCLUSIVE. The rows of a cluster need not be independent of each other;
    clusters must be. The floor keeps the interval from shrinking to a point where the arms agree
    on (almost) every row, or where losses are so concentrated in few clusters that these happen
    not to lose; q' widens the side on which few clusters gain or lose far more than the others.
    How often all this errs is simulated in ``docs/statistics.md``.

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
    1946, Biometrics Bulletin 2:110. V_f, K* and q': see :mod:`harness.judge.spread`.

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
    lost, won = (gains < 0).sum(axis=1), (gains > 0).sum(axis=1)
    difference = int(gains.sum()) / (seeds * rows)
    known = replace(
        nothing,
        difference=difference,
        seed_error=_seed_error(gains),
        tango_error=float(tango_error(lost, won, rows, margin).max()),
    )
    if len(labels) < 2:
        return known
    return _with_interval(known, difference, _spread(gains, member, margin, alpha))


def p_value(
    baseline_correct: NDArray[np.bool_],
    candidate_correct: NDArray[np.bool_],
    clusters: Sequence[str] | NDArray[Any],
    *,
    margin: float = 0.01,
) -> float:
    """Return the p-value of :func:`noninferiority`: it passes at any ``alpha`` above it.

    Parameters and errors are those of :func:`noninferiority`. 1 where it passes at no level:
    without rows, with fewer than 2 clusters, or with one seed.

    Examples
    --------
    >>> right = np.ones((2, 1000), dtype=np.bool_)
    >>> clusters = np.arange(1000) // 50
    >>> level = p_value(right, right, clusters)
    >>> [
    ...     str(noninferiority(right, right, clusters, alpha=alpha).decision)
    ...     for alpha in (1.01 * level, 0.99 * level)
    ... ]
    ['PASS', 'INCONCLUSIVE']
    """
    names = _checked(baseline_correct, candidate_correct, clusters, margin, alpha=_ANY_LEVEL)
    labels, member = np.unique(names, return_inverse=True)
    seeds, rows = baseline_correct.shape
    if not rows or seeds < 2 or len(labels) < 2:
        return 1.0
    gains = candidate_correct.astype(np.int64) - baseline_correct
    difference = int(gains.sum()) / (seeds * rows)
    spread = _spread(gains, member, margin, alpha=_ANY_LEVEL)
    return float(spread.level_below(np.array([difference + margin]))[0])


def fewest_clusters(alpha: float) -> int:
    """Return how many genomes an endpoint needs to be decided at a one-sided level.

    All K of them would have to lean one way, and under chance alone they do so with probability
    2⁻ᴷ: where that is not below the level, no method that trusts in genomes alone could tell.
    Student's t would, by trusting in a bell shape that nobody can check on so few values.

    Examples
    --------
    >>> fewest_clusters(0.025), fewest_clusters(0.025 / 4)
    (6, 8)
    """
    return math.floor(-math.log2(alpha)) + 1


def _spread(
    gains: NDArray[np.int64], member: NDArray[np.intp], margin: float, alpha: float
) -> Spread:
    """Count gains ``(seeds, n)`` by cluster and seed, and measure their spread."""
    sizes = np.bincount(member)
    totals = np.zeros((len(sizes), len(gains)), dtype=np.int64)
    np.add.at(totals, member, gains.T)
    lost, won = (gains < 0).sum(axis=1), (gains > 0).sum(axis=1)
    return spread_of(totals, lost, won, sizes, margin=margin, alpha=alpha)


def _with_interval(known: NonInferiority, difference: float, spread: Spread) -> NonInferiority:
    """Add what follows from the difference and its variances."""
    here = np.array([known.clusters])
    lower = difference - float(spread.reach_below(here)[0])
    upper = difference + float(spread.reach_above(here)[0])
    if lower > -known.margin:
        decision = Decision.PASS
    elif upper < -known.margin:
        decision = Decision.FAIL
    else:
        decision = Decision.INCONCLUSIVE
    open_yet = decision is Decision.INCONCLUSIVE
    gap = difference + known.margin
    reach = spread.reach_below if gap > 0 else spread.reach_above
    return replace(
        known,
        lower=lower,
        upper=upper,
        standard_error=float(spread.error(here)[0]),
        cluster_error=float(np.sqrt(spread.cluster_variance)),
        tango_error=float(spread.floor()),
        degrees_of_freedom=float(spread.freedom(here)[0]),
        decision=decision if known.seeds > 1 else Decision.INCONCLUSIVE,
        clusters_needed=_clusters_needed(reach, known.clusters, abs(gap)) if open_yet else None,
    )


def _seed_error(gains: NDArray[np.int64]) -> float | None:
    """Return √V_s, or None with one seed."""
    seeds, rows = gains.shape
    if seeds < 2:
        return None
    totals = gains.sum(axis=1)
    residuals = (totals * seeds - totals.sum()) / (seeds * rows)
    return float(np.sqrt(np.sum(residuals**2) / (seeds - 1) / seeds))


def _clusters_needed(reach: Callable[[Counts], Figures], clusters: int, gap: float) -> int | None:
    """Return the fewest clusters, more than there are, whose interval reaches less than ``gap``.

    First in steps of some 3%, then one by one between the last two of them.
    """
    least = clusters + 1
    if least > MOST_CLUSTERS:
        return None
    steps = np.unique(np.geomspace(least, MOST_CLUSTERS, 400).round().astype(np.int64))
    enough = np.flatnonzero(reach(steps) < gap)
    if not enough.size:
        return None
    before = steps[enough[0] - 1] if enough[0] else least - 1
    between = np.arange(before + 1, steps[enough[0]] + 1)
    return int(between[np.argmax(reach(between) < gap)])


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
