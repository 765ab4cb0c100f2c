"""How alike two embedders of different width are: what they say of the same sequences.

Widths differ, so vectors cannot be subtracted; how the sequences lie to each other can be
compared. Every figure is held against what it is when one side's rows are shuffled: an embedder
whose ids were mixed up carries information as well, but not of the same sequences.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from scipy.linalg import orthogonal_procrustes

from harness.results import BOTH_ARMS, ParityCheck

NEIGHBOURS = 10
PERMUTATIONS = 199
"""A value beyond all of them has a chance of 1 in 200 where ids were shuffled."""
LEAST_ROWS = 20
"""With fewer rows, some of the shuffles leave so much in place that related vectors would fail."""
MOST_ROWS = 256
"""So many rows, at even steps, are enough; the cost grows with their square and cube."""

Matrix = npt.NDArray[np.float64]
_Compare = Callable[[npt.NDArray[np.intp]], float]


def similarity(
    baseline_matrix: torch.Tensor, candidate_matrix: torch.Tensor, *, seed: int
) -> tuple[ParityCheck, ...]:
    """Compare the vectors that two embedders give to the same sequences.

    Three checks: linear CKA, overlap of nearest neighbours, Procrustes distance. The limit of each
    is the most extreme of ``PERMUTATIONS`` values with the candidate's rows shuffled.

    Parameters
    ----------
    baseline_matrix, candidate_matrix
        ``(n, d1)`` and ``(n, d2)``, row ``i`` of both of the same sequence. At most ``MOST_ROWS``
        rows at even steps are looked at.
    seed
        Of the shuffling.

    Returns
    -------
    tuple[ParityCheck, ...]
        Empty for fewer than ``LEAST_ROWS`` rows: then likeness cannot be told from chance. A NaN
        on either side fails every check.

    Raises
    ------
    ValueError
        If the numbers of rows differ.
    """
    left, right = _matrix(baseline_matrix), _matrix(candidate_matrix)
    if len(left) != len(right):
        raise ValueError(f"{len(left)} and {len(right)} rows: they must be of the same sequences")
    n = len(left)
    if n < LEAST_ROWS:
        return ()
    sound = bool(np.isfinite(left).all() and np.isfinite(right).all())
    if not sound:
        left, right = np.zeros_like(left), np.zeros_like(right)
    k = neighbours_of(n)
    widths = f"{left.shape[1]} and {right.shape[1]} wide"
    shuffles = _shuffles(n, seed)
    return (
        _against_chance(
            "likeness (CKA)",
            f"{n} sequences, vectors {widths} (1 the same but for rotation and scale, 0 unrelated; "
            "limit: the highest of shuffled rows): linear CKA",
            _cka_of(left, right) if sound else None,
            shuffles,
            at_least=True,
        ),
        _against_chance(
            "nearest neighbours",
            f"{n} sequences, the {k} nearest by cosine (by chance {k / (n - 1):.2f}; limit: the "
            "highest of shuffled rows): share in common",
            _overlap_of(left, right, k) if sound else None,
            shuffles,
            at_least=True,
        ),
        _against_chance(
            "Procrustes distance",
            f"{n} sequences, the narrower side padded with zeros (0 the same shape, 1 unrelated; "
            "limit: the lowest of shuffled rows): what the best rotation leaves",
            _procrustes_of(left, right) if sound else None,
            shuffles,
            at_least=False,
        ),
    )


def linear_cka(left: Matrix, right: Matrix) -> float:
    """Return linear centred kernel alignment with the unbiased HSIC.

    CKA as in Kornblith et al. 2019 (ICML), each HSIC by the unbiased estimator of Song et al.
    2012 (JMLR 13, equation 5): with few rows and many columns the usual estimator finds a likeness
    between any two matrices.

    Parameters
    ----------
    left, right
        ``(n, d1)`` and ``(n, d2)``; at least 4 rows.

    Returns
    -------
    float
        1 for the same up to rotation and scale, about 0 for unrelated rows, and a little below 0
        at times; 0 where one side has no spread.
    """
    return _cka_of(left, right)(np.arange(len(left)))


def neighbour_overlap(left: Matrix, right: Matrix, k: int) -> float:
    """Return the mean share of each row's ``k`` nearest rows that both sides agree on.

    Nearest by cosine, the row itself left out. By chance the share is ``k / (n - 1)``.
    """
    return _overlap_of(left, right, k)(np.arange(len(left)))


def procrustes_distance(left: Matrix, right: Matrix) -> float:
    """Return what of two centred, equally scaled point sets no rotation can bring together.

    ``1 - ‖LᵀR‖_*`` with ``L``, ``R`` centred and of Frobenius norm 1: half the squared distance
    after the best orthogonal map (Schönemann 1966; Ding et al. 2021). Both sides are first turned
    onto their own principal axes, which loses nothing, and the narrower one is padded with zeros.

    Returns
    -------
    float
        0 for the same up to rotation, shift and scale; 1 for unrelated.
    """
    return _procrustes_of(left, right)(np.arange(len(left)))


def neighbours_of(rows: int) -> int:
    """Return how many neighbours are looked at: 10, or fewer than half of the others.

    Examples
    --------
    >>> neighbours_of(24), neighbours_of(8)
    (10, 3)
    """
    return min(NEIGHBOURS, (rows - 1) // 2)


def _matrix(vectors: torch.Tensor) -> Matrix:
    steps = np.unique(np.linspace(0, max(0, len(vectors) - 1), MOST_ROWS).round().astype(np.intp))
    return vectors.double().numpy()[steps[: len(vectors)]]


def _shuffles(rows: int, seed: int) -> list[npt.NDArray[np.intp]]:
    generator = np.random.default_rng(seed)
    return [generator.permutation(rows) for _ in range(PERMUTATIONS)]


def _against_chance(
    check: str,
    sentence: str,
    compare: _Compare | None,
    shuffles: list[npt.NDArray[np.intp]],
    *,
    at_least: bool,
) -> ParityCheck:
    """Hold a figure against the most extreme of shuffled rows; None is one that cannot be had."""
    if compare is None:
        value, limit = (-1.0, 0.0) if at_least else (2.0, 1.0)
    else:
        value = compare(np.arange(len(shuffles[0])))
        by_chance = [compare(shuffle) for shuffle in shuffles]
        limit = max(by_chance) if at_least else min(by_chance)
    return ParityCheck(BOTH_ARMS, check, sentence, value, limit, at_least)


def _cka_of(left: Matrix, right: Matrix) -> _Compare:
    k, m = _gram(left), _gram(right)
    scale = _hsic(k, k) * _hsic(m, m)

    def compare(order: npt.NDArray[np.intp]) -> float:
        return _hsic(k, m[np.ix_(order, order)]) / float(np.sqrt(scale)) if scale > 0 else 0.0

    return compare


def _gram(matrix: Matrix) -> Matrix:
    centred = matrix - matrix.mean(axis=0)
    gram: Matrix = centred @ centred.T
    np.fill_diagonal(gram, 0.0)
    return gram


def _hsic(k: Matrix, m: Matrix) -> float:
    """Unbiased HSIC of two Gram matrices without their diagonals."""
    n = len(k)
    trace = float((k * m).sum())
    sums = float(k.sum()) * float(m.sum()) / ((n - 1) * (n - 2))
    crossed = 2.0 / (n - 2) * float(k.sum(axis=0) @ m.sum(axis=1))
    return (trace + sums - crossed) / (n * (n - 3))


def _overlap_of(left: Matrix, right: Matrix, k: int) -> _Compare:
    ours, theirs = _near(left, k), _near(right, k)

    def compare(order: npt.NDArray[np.intp]) -> float:
        return float((ours & theirs[np.ix_(order, order)]).sum()) / (k * len(ours))

    return compare


def _near(matrix: Matrix, k: int) -> npt.NDArray[np.bool_]:
    """``(n, n)``: whether column ``j`` is among the nearest of row ``i``."""
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    unit = matrix / np.maximum(lengths, np.finfo(np.float64).tiny)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -np.inf)
    nearest = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    near = np.zeros(cosines.shape, dtype=np.bool_)
    np.put_along_axis(near, nearest, values=True, axis=1)
    return near


def _procrustes_of(left: Matrix, right: Matrix) -> _Compare:
    axes = max(min(each.shape) for each in (left, right))
    ours, theirs = _principal(left, axes), _principal(right, axes)

    def compare(order: npt.NDArray[np.intp]) -> float:
        _, shared = orthogonal_procrustes(ours, theirs[order])
        return 1.0 - float(shared)

    return compare


def _principal(matrix: Matrix, axes: int) -> Matrix:
    """Scores ``(n, axes)`` on the principal axes, of Frobenius norm 1, padded with zeros."""
    centred = matrix - matrix.mean(axis=0)
    left, spread, _ = np.linalg.svd(centred, full_matrices=False)
    scores = left * (spread / max(float(np.linalg.norm(spread)), np.finfo(np.float64).tiny))
    return np.pad(scores, ((0, 0), (0, axes - scores.shape[1])))
