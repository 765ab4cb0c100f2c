"""What a classifier could recognise instead of predict: near twins across the cut of a fold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from harness.evidence import LeakCheck
from harness.judge.homology import Homologues
from harness.judge.predictions import CLASSES
from harness.judge.rows import Rows
from harness.judge.splits import Fold, TooFewGenomes, grouped_folds, row_folds

BY_ROW, BY_GIVEN_GROUPS, AS_JUDGED = "by row", "by given groups", "as judged"


class Twins:
    """Which rows are near twins: of one contig, of equal proteins, or of homologous ones.

    Homology is kept by distinct protein, so that memory grows with the pairs that a search found
    and not with the square of the copies.
    """

    def __init__(self, contigs: Sequence[str], homologues: Homologues) -> None:
        from scipy.sparse import coo_array  # noqa: PLC0415  heavy, and only a report needs it

        pairs, self._proteins = homologues.pairs, homologues.proteins
        self._protein = homologues.protein_of
        self._contig = np.unique(np.asarray(contigs, dtype=np.str_), return_inverse=True)[1]
        both = np.concatenate([pairs, pairs[:, ::-1]])
        there = np.ones(len(both), dtype=np.int64)
        shape = (self._proteins, self._proteins)
        self._near = coo_array((there, (both[:, 0], both[:, 1])), shape=shape).tocsr()

    def across(self, fold: Fold) -> NDArray[np.bool_]:
        """Tell for each test row of a fold whether a training row is its twin, bool ``(test,)``."""
        trained = np.bincount(self._protein[fold.train], minlength=self._proteins) > 0
        near = trained | (self._near @ trained.astype(np.int64) > 0)
        contig = np.isin(self._contig[fold.test], self._contig[fold.train])
        return np.asarray(near[self._protein[fold.test]] | contig, dtype=np.bool_)


def leak_checks(
    rows: Rows, homologues: Homologues, *, folds: int, seeds: Sequence[int]
) -> tuple[LeakCheck, ...]:
    """Count test rows that have a near twin in the training part, for three ways of cutting.

    ``by row`` ignores groups, ``by given groups`` keeps those of the table of labels together,
    ``as judged`` the components, on the very folds that the arms are judged on. A way that cannot
    be cut into so many folds is left out.

    Parameters
    ----------
    rows
        With their groups and components.
    homologues
        Of the same rows.
    folds, seeds
        As in the classification.
    """
    labels = np.array([CLASSES.index(label) for label in rows.labels], dtype=np.int64)
    ways: dict[str, Callable[[int], list[Fold]]] = {
        BY_ROW: partial(row_folds, labels, folds),
        BY_GIVEN_GROUPS: partial(grouped_folds, labels, rows.groups, folds),
        AS_JUDGED: partial(grouped_folds, labels, rows.components, folds),
    }
    twins = Twins(rows.contigs, homologues)
    checks = []
    for way, cut in ways.items():
        try:
            counts = [sum(int(twins.across(fold).sum()) for fold in cut(seed)) for seed in seeds]
        except TooFewGenomes:
            continue  # a data set that cannot be judged says why where it is classified
        checks.append(LeakCheck(way, len(rows), float(np.mean(counts))))
    return tuple(checks)
