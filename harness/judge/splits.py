"""Folds that never part a group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedders.errors import InputError

LOOSER = (
    "or, where homology joined the groups, raise splits.identity or splits.coverage, or leave "
    "homology out of splits.groups"
)
"""The remedy for groups that a search for homologues has made too large."""


class SplitError(InputError):
    """Groups that cannot be cut into the folds asked for."""


class TooFewGenomes(SplitError):
    """A class whose groups are too few, or too large, for the folds: no fault of the input."""


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """Row numbers of one fold, ascending int64: no group and no row is on both sides."""

    train: NDArray[np.int64]
    test: NDArray[np.int64]


def grouped_folds(
    labels: Sequence[int] | NDArray[np.integer[Any]],
    groups: Sequence[str],
    folds: int,
    seed: int,
) -> list[Fold]:
    """Cut rows into folds by group (genome, organism, homology cluster), never by row.

    Chunks of one genome, or homologous proteins, on both sides would let a classifier recognise
    what it should predict. The cut is scikit-learn's ``StratifiedGroupKFold``; it depends on
    labels, groups and seed alone, so both arms of a migration get the same one, and not on the
    order of the rows.

    Parameters
    ----------
    labels
        0 (host) or 1 (viral) of each row, ``(n,)``.
    groups
        Name of each row's group, ``(n,)``.
    folds
        How many, at least 2.
    seed
        Decides the draw.

    Returns
    -------
    list[Fold]
        Each row is in the test part of exactly one.

    Raises
    ------
    SplitError
        If lengths differ or a label is neither 0 nor 1.
    TooFewGenomes
        If a class has fewer groups than folds, or a test part would miss a class because some
        groups are too large.
    """
    from sklearn.model_selection import StratifiedGroupKFold  # noqa: PLC0415

    truth = np.asarray(labels, dtype=np.int64)
    names = np.asarray(groups, dtype=np.str_)
    if folds < 2:
        raise SplitError(f"folds must be at least 2, not {folds}")
    if truth.shape != names.shape or truth.ndim != 1:
        raise SplitError(f"{truth.size} labels for {names.size} groups; one of each per row")
    if not np.isin(truth, (0, 1)).all():
        raise SplitError("a label must be 0 (host) or 1 (viral)")
    for label, word in enumerate(("host", "viral")):
        there = len(np.unique(names[truth == label]))
        if there < folds:
            fewer = f" or ask for at most {there} folds" if there > 1 else ""
            raise TooFewGenomes(
                f"{there} {word} group(s) cannot be spread over {folds} folds, since a group is "
                f"never parted; add {word} genomes{fewer}, {LOOSER}"
            )
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    cut = [Fold(train, test) for train, test in splitter.split(truth, truth, names)]
    _check(cut, truth, names)
    return cut


def row_folds(
    labels: Sequence[int] | NDArray[np.integer[Any]], folds: int, seed: int
) -> list[Fold]:
    """Cut rows into folds whatever their groups: what a leak report compares with.

    Parameters
    ----------
    labels
        0 (host) or 1 (viral) of each row, ``(n,)``.
    folds
        How many, at least 2.
    seed
        Decides the draw.

    Raises
    ------
    TooFewGenomes
        If a class has fewer rows than folds.
    """
    from sklearn.model_selection import StratifiedKFold  # noqa: PLC0415

    truth = np.asarray(labels, dtype=np.int64)
    least = int(np.bincount(truth, minlength=2).min())
    if least < folds:
        raise TooFewGenomes(f"{least} row(s) of a class cannot be spread over {folds} folds")
    splitter = StratifiedKFold(n_splits=folds, shuffle=True, random_state=seed)
    return [Fold(train, test) for train, test in splitter.split(truth, truth)]


def _check(cut: list[Fold], truth: NDArray[np.int64], names: NDArray[np.str_]) -> None:
    tested = np.concatenate([fold.test for fold in cut])
    if not np.array_equal(np.sort(tested), np.arange(truth.size)):
        raise SplitError("a row is not in the test part of exactly one fold")
    for number, fold in enumerate(cut):
        shared = np.intersect1d(names[fold.train], names[fold.test])
        if shared.size:
            raise SplitError(f"group {shared[0]!r} is on both sides of fold {number}")
        for side, rows in (("training", fold.train), ("test", fold.test)):
            missing = {0: "host", 1: "viral"}.keys() - set(truth[rows].tolist())
            if missing:
                word = "viral" if 1 in missing else "host"
                raise TooFewGenomes(
                    f"fold {number} of {len(cut)} would have no {word} row in its {side} part: "
                    f"{_giant(truth, names, word)}; ask for fewer folds, take another seed, "
                    f"{LOOSER}"
                )


def _giant(truth: NDArray[np.int64], names: NDArray[np.str_], word: str) -> str:
    """Say which group holds the most rows of a class, and how many."""
    rows = names[truth == (word == "viral")]
    groups, sizes = np.unique(rows, return_counts=True)
    largest = int(sizes.argmax())
    return (
        f"group {str(groups[largest])!r} alone holds {sizes[largest]} of the {rows.size} {word} "
        "rows, and a group is never parted"
    )
