"""Where the error of a paired difference comes from, and how far its interval therefore reaches.

Every figure may be one number or an array of them, one for each repeat of a simulation: the verdict
and :mod:`harness.judge.simulation` share this code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Figures = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """The parts of a standard error, and what would become of it with other clusters alike.

    ``floor_variance``: see :func:`spread_of`. ``effective_clusters``: as many clusters of equal
    size would tell as much. Methods take numbers of clusters: what varies between clusters falls
    in proportion to them, the variance between seeds stays.
    """

    cluster_variance: Figures
    seed_variance: Figures
    floor_variance: Figures
    skewness: Figures
    clusters: int
    effective_clusters: float
    seeds: int
    alpha: float

    def error(self, counts: Counts) -> Figures:
        """Return the standard errors, above 0."""
        between = np.maximum(self.cluster_variance, self.floor_variance)
        return np.asarray(np.sqrt(between * (self.clusters / counts) + self.seed_variance))

    def floor(self) -> Figures:
        """Return the least that the standard error can be."""
        return np.asarray(np.sqrt(self.floor_variance + self.seed_variance))

    def freedom(self, counts: Counts) -> Figures:
        """Return Satterthwaite's degrees of freedom, at least 1."""
        most = np.maximum(self._effective(counts) - 1.0, 1.0)
        between = self.cluster_variance * (self.clusters / counts)
        whole = between + self.seed_variance
        below = between**2 / most + self.seed_variance**2 / max(self.seeds - 1, 1)
        known = np.broadcast_to(below > 0, np.broadcast_shapes(below.shape, most.shape))
        return np.asarray(np.divide(whole**2, below, out=most + np.zeros(known.shape), where=known))

    def reach_below(self, counts: Counts) -> Figures:
        """Return how far the interval goes down."""
        return self._reach(counts, self.skewness)

    def reach_above(self, counts: Counts) -> Figures:
        """Return how far the interval goes up."""
        return self._reach(counts, -self.skewness)

    def level_below(self, gap: Figures) -> Figures:
        """Return the smallest one-sided level whose interval reaches down by no more than ``gap``.

        With the clusters that there are. The p-value of the test that the interval is: the bottom
        of the interval lies above ``difference - gap`` at any level above it, and at none below.
        """
        from scipy import stats  # noqa: PLC0415 - as above

        here = np.array([self.clusters])
        steps = np.asarray(gap / self.error(here))
        farthest = np.minimum(steps, skewed(steps, self.skewness, self._effective(here)))
        return np.asarray(stats.t.sf(farthest, self.freedom(here)))

    def _reach(self, counts: Counts, skewness: Figures) -> Figures:
        from scipy import stats  # noqa: PLC0415 - slow to import, needed at the end of a run

        quantiles = stats.t.ppf(1 - self.alpha, self.freedom(counts))
        return np.asarray(
            unskewed(quantiles, skewness, self._effective(counts)) * self.error(counts)
        )

    def _effective(self, counts: Counts) -> Figures:
        return np.asarray(self.effective_clusters / self.clusters * counts)


def spread_of(
    gains: Counts, lost: Counts, won: Counts, sizes: Counts, *, margin: float, alpha: float
) -> Spread:
    """Measure the parts of the error of a paired difference.

    With d_ks the gain of cluster k at seed s, d̄_k its mean over seeds, D = Σ d̄_k / N::

        V_c = K/(K-1) · Σ (d̄_k - D·m_k)² / N²     between clusters
        V_s = variance of D_s (ddof = 1) / S       between retrainings; 0 with one seed
        G   = Σ_s V_c of seed s alone / Σ_s V of independent rows, at least 1: the design effect
        V_f = G · largest SE_T² of a seed          the floor, SE_T: see tango_error
        g   = skewness of d̄_k - D·m_k
        K*  = N² / Σ m_k²                          the effective number of clusters

    Where losses are concentrated in few clusters, a sample that misses some of them has a small
    loss and a small V_c together, and would pass too often. The floor holds against that: it is
    the variance that the margin itself would have, as of ``N / G`` independent rows.

    Parameters
    ----------
    gains
        ``(…, clusters, seeds)``: rows won less rows lost; at least 2 clusters.
    lost, won
        ``(…, seeds)``: rows that one arm alone got right, in all clusters.
    sizes
        Rows of each cluster, ``(clusters,)``.
    margin, alpha
        As in :func:`harness.judge.noninferiority`.

    References
    ----------
    V_c: Obuchowski 1998, Statistics in Medicine 17:1495. N / G: Rao and Scott 1992, Biometrics
    48:577. K*: Kish 1965, Survey Sampling; as degrees of freedom Carter, Schnepel and Steigerwald
    2017, Review of Economics and Statistics 99:698.
    """
    rows, count, seeds = int(sizes.sum()), len(sizes), gains.shape[-1]
    # whole numbers until the division: clusters that gain alike leave exactly nothing
    by_cluster = gains.sum(axis=-1)
    residuals = by_cluster * rows - by_cluster.sum(axis=-1, keepdims=True) * sizes
    residuals = residuals / (seeds * rows)
    by_seed = gains.sum(axis=-2)
    between_seeds = by_seed * seeds - by_seed.sum(axis=-1, keepdims=True)
    between_seeds = between_seeds / (seeds * rows)
    of_seed = (gains * rows - by_seed[..., None, :] * sizes[:, None]) / rows
    correction = count / (count - 1)
    clustered = correction * (of_seed**2).sum(axis=(-2, -1)) / rows**2
    independent = ((lost + won) * rows - by_seed**2).sum(axis=-1) / rows**3
    effect = np.divide(
        clustered, independent, out=np.ones(independent.shape), where=independent > 0
    )
    floor = np.maximum(effect, 1) * tango_error(lost, won, rows, margin).max(axis=-1) ** 2
    squares = (residuals**2).mean(axis=-1)
    skewness = np.divide(
        (residuals**3).mean(axis=-1), squares**1.5, out=np.zeros(squares.shape), where=squares > 0
    )
    return Spread(
        cluster_variance=correction * (residuals**2).sum(axis=-1) / rows**2,
        seed_variance=(between_seeds**2).sum(axis=-1) / max(seeds - 1, 1) / seeds,
        floor_variance=floor,
        skewness=skewness,
        clusters=count,
        effective_clusters=rows**2 / int((sizes**2).sum()),
        seeds=seeds,
        alpha=alpha,
    )


def tango_error(
    only_baseline: int | Counts, only_candidate: int | Counts, rows: int, margin: float
) -> Figures:
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
    root = np.sqrt(linear**2 + 8 * rows * only_candidate * spread)
    chance = (root - linear) / (4 * rows)
    return np.asarray(np.sqrt((2 * chance + spread) / rows))


def unskewed(quantiles: Figures, skewness: Figures, clusters: Figures) -> Figures:
    """Return by how many standard errors an end lies off the estimate, at least ``quantiles``.

    Hall 1992 (Journal of the Royal Statistical Society B 54:221): of a mean of n values with
    skewness g, the studentised t is skewed and ::

        h(t) = t + a·t² + a²·t³/3 + g/(6√n)   with   a = g/(3√n)

    is not, to the order 1/n. This solves h(t) = quantile. An end on the side where the values
    have no tail is left where it was, so that no interval gets shorter.
    """
    slope = skewness / (3 * np.sqrt(clusters))
    bend = 3 * slope * (quantiles - slope / 2)
    # cbrt(1 + bend) - 1, without losing digits where the bend is slight
    root = np.where(
        bend > -0.5, np.expm1(np.log1p(np.maximum(bend, -0.5)) / 3), np.cbrt(1 + bend) - 1
    )
    bent = np.divide(root, slope, out=np.array(quantiles + 0 * slope), where=slope < 0)
    return np.asarray(np.maximum(bent, quantiles))


def skewed(steps: Figures, skewness: Figures, clusters: Figures) -> Figures:
    """Return the quantile that :func:`unskewed` turns into ``steps`` standard errors.

    Hall's h itself, where there is a tail; elsewhere ``steps``.
    """
    slope = skewness / (3 * np.sqrt(clusters))
    hall = steps + slope * steps**2 + slope**2 * steps**3 / 3 + slope / 2
    return np.asarray(np.where(slope < 0, hall, steps))
