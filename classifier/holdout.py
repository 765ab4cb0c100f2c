"""Which groups watch over the training: the early-stopping set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from classifier.errors import ClassifierError, TooFewGroups


def group_numbers(groups: Sequence[str]) -> NDArray[np.int64]:
    """Return each row's group as a number, ``(n,)``, counted in the order of the names.

    Examples
    --------
    >>> group_numbers(["b", "a", "b"]).tolist()
    [1, 0, 1]
    """
    number = {name: place for place, name in enumerate(sorted(set(groups)))}
    return np.fromiter(map(number.__getitem__, groups), dtype=np.int64, count=len(groups))


def held_out(
    labels: NDArray[np.int64],
    groups: NDArray[np.int64] | NDArray[np.str_],
    *,
    fraction: float,
    seed: int,
) -> NDArray[np.bool_]:
    """Choose whole groups until about ``fraction`` of each class is held out.

    Groups are drawn in an order that depends on the seed and on their names, not on the order of
    the rows; one is taken when that brings the class nearer to its share. Both classes are always
    on both sides, so where every group is large the share can be far from ``fraction``.
    Drawn by hand because scikit-learn's group splitters either ignore the labels
    (``GroupShuffleSplit``) or take seconds for thousands of groups (``StratifiedGroupKFold``).

    Parameters
    ----------
    labels
        0 (host) or 1 (viral), ``(n,)``.
    groups
        Name of each row's group, or its number in the order of the names, ``(n,)``.
    fraction
        Share of each class, between 0 and 1.
    seed
        Decides the draw.

    Returns
    -------
    NDArray[np.bool_]
        True where a row is held out, ``(n,)``.

    Raises
    ------
    TooFewGroups
        If a class has fewer than two groups.
    ClassifierError
        If the fraction is not between 0 and 1.
    """
    if not 0 < fraction < 1:
        raise ClassifierError(f"the held-out fraction must be between 0 and 1, not {fraction}")
    names, group_of = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(names), 2), dtype=np.int64)
    np.add.at(counts, (group_of, labels), 1)
    for label, word in enumerate(("host", "viral")):
        present = int(np.count_nonzero(counts[:, label]))
        if present < 2:
            raise TooFewGroups(
                f"{present} {word} group(s) in the training rows, but early stopping needs at "
                f"least 2: one to train on, one to watch; add genomes or use fewer folds"
            )
    order = np.random.default_rng(seed).permutation(len(names))
    taken = np.zeros(len(names), dtype=np.bool_)
    for label in (0, 1):
        _take(counts, taken, order, label, fraction)
    return taken[group_of]


def _take(
    counts: NDArray[np.int64],
    taken: NDArray[np.bool_],
    order: NDArray[np.int64],
    label: int,
    fraction: float,
) -> None:
    """Mark groups of one class as taken; at least one, and never the last of either class."""
    wanted = fraction * counts[:, label].sum()
    got = int(counts[taken, label].sum())
    left = np.count_nonzero(counts[~taken], axis=0)
    candidates = order[(counts[order, label] > 0) & ~taken[order]]

    def spared(group: int) -> bool:
        return bool(np.all(left - (counts[group] > 0) >= 1))

    def take(group: int) -> int:
        nonlocal left
        taken[group] = True
        left = left - (counts[group] > 0)
        return int(counts[group, label])

    for group in candidates:
        if got >= wanted:  # no group brings it nearer any more
            break
        size = int(counts[group, label])
        if abs(got + size - wanted) < abs(got - wanted) and spared(group):
            got += take(group)
    if not got:
        take(min(filter(spared, candidates), key=lambda g: int(counts[g, label])))
