"""How far probabilities are from what happens, in bins of equal numbers of rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.evidence import Calibration, CalibrationBin
from harness.judge.evaluation import Level

MOST_BINS = 15
"""As is usual since Guo et al. 2017."""

ROWS_PER_BIN = 10
"""With fewer rows there are fewer bins: a share of less than 10 rows says next to nothing."""


def calibration(level: Level, *, arm: str) -> Calibration:
    """Compare probabilities with the shares of viral rows, pooled over seeds.

    Bins hold equal numbers of predictions as far as ties allow: predictions of equal probability
    share a bin, so that the order of rows cannot matter. With b = 1 … B bins of n_b predictions, N
    in all, mean probability p_b and observed share y_b::

        plain_error = Σ n_b/N · |p_b - y_b|                     the usual one
        error       = √max(0, Σ n_b/N · ((p_b - y_b)² - v_b))   debiased
        v_b         = G/(G-1) · Σ_g (Σ_{i in g} (y_i - y_b))² / n_b²

    The sum below the root is the debiased estimator of the squared error by Kumar, Liang and Ma
    (2019, section 4.1): chance alone moves y_b off p_b, which squared (or absolute) gaps count as
    an error, and v_b takes that away. They draw rows one by one, so that their v_b is
    y_b(1 - y_b)/(n_b - 1). Here the rows of one group, and one row under several seeds, are no
    independent draws, hence the variance between the G groups of the bin; where every group is a
    row and there is one seed, it is theirs. It is 0 in a bin of one group.

    Note that ``error`` is a root of mean squares and ``plain_error`` a mean of absolute gaps: with
    little chance in it, the former is the larger.

    Parameters
    ----------
    level
        At least one row.
    arm
        Whose probabilities they are, for the record.

    References
    ----------
    Kumar, Liang and Ma 2019, "Verified uncertainty calibration", NeurIPS. Equal numbers per bin
    rather than equal widths: Roelofs et al. 2022, AISTATS. Sums by group: Liang and Zeger 1986,
    Biometrika 73:13.
    """
    seeds, rows = level.probabilities.shape
    chances = level.probabilities.astype(np.float64).ravel()
    labels = np.tile(level.labels, seeds)
    groups = np.tile(np.unique(level.groups, return_inverse=True)[1], seeds)
    member = equal_mass(chances, bins=min(MOST_BINS, max(1, rows // ROWS_PER_BIN)))
    sizes = np.bincount(member)
    predicted = np.bincount(member, chances) / sizes
    observed = np.bincount(member, labels) / sizes
    gaps = predicted - observed
    share = sizes / len(chances)
    excess = gaps**2 - _variances(labels - observed[member], member, groups)
    return Calibration(
        arm=arm,
        error=math.sqrt(max(0.0, float((share * excess).sum()))),
        plain_error=float((share * np.abs(gaps)).sum()),
        bins=tuple(
            CalibrationBin(rows=int(size), predicted=float(chance), observed=float(seen))
            for size, chance, seen in zip(sizes, predicted, observed, strict=True)
        ),
    )


def equal_mass(values: NDArray[np.floating[Any]], *, bins: int) -> NDArray[np.intp]:
    """Return the number of each value's bin, ascending from 0 without a gap.

    A run of equal values goes whole to the bin in which its middle lies, so that there may be fewer
    bins than asked.

    Examples
    --------
    >>> equal_mass(np.array([0.4, 0.1, 0.3, 0.2]), bins=2).tolist()
    [1, 0, 1, 0]
    >>> equal_mass(np.array([0.5, 0.5, 0.5, 0.9]), bins=4).tolist()
    [0, 0, 0, 1]
    """
    _, run, counts = np.unique(values, return_inverse=True, return_counts=True)
    twice_middle = 2 * np.cumsum(counts) - counts
    number = twice_middle * bins // (2 * len(values))
    return np.unique(number[run], return_inverse=True)[1]


def _variances(
    residuals: NDArray[np.floating[Any]], member: NDArray[np.intp], groups: NDArray[np.intp]
) -> NDArray[np.floating[Any]]:
    """Return the variance of each bin's observed share, between groups; 0 with one group."""
    sizes = np.bincount(member)
    cells, cell_of = np.unique(member * (groups.max() + 1) + groups, return_inverse=True)
    totals = np.bincount(cell_of, residuals)
    bin_of_cell = cells // (groups.max() + 1)
    count = np.bincount(bin_of_cell)
    squares = np.bincount(bin_of_cell, totals**2)
    return np.where(count > 1, count / np.maximum(count - 1, 1), 0) * squares / sizes**2
