"""Which rows make a step, and which of them go through the model together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

POOL_BATCHES = 16
"""So many batches are drawn at once and cut by length: less padding, and still by chance."""


def epoch_batches(
    lengths: Sequence[int], batch_rows: int, rng: np.random.Generator
) -> list[list[int]]:
    """Draw the batches of one epoch: each index once, in batches of like lengths, shuffled.

    Rows are shuffled, taken in pools of ``POOL_BATCHES`` batches, sorted by length within each, and
    cut; then the batches are shuffled. So every row counts the same in an epoch, whatever its
    length, and its batch-mates change from epoch to epoch.

    Parameters
    ----------
    lengths
        Residues of each row, ``(n,)``.
    batch_rows
        Rows of a batch; the last of a pool may have fewer.
    rng
        Decides the draw.

    Returns
    -------
    list[list[int]]
        Indices into ``lengths``.
    """
    order = rng.permutation(len(lengths)).tolist()
    pool_rows = POOL_BATCHES * batch_rows
    batches = []
    for start in range(0, len(order), pool_rows):
        pool = sorted(order[start : start + pool_rows], key=lambda row: lengths[row])
        batches += [pool[at : at + batch_rows] for at in range(0, len(pool), batch_rows)]
    return [batches[place] for place in rng.permutation(len(batches)).tolist()]
