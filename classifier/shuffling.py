"""An order for rows that do not fit in memory: random, yet read in runs of neighbours."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

RUN_ROWS = 16
"""Neighbours that are read at once. Most of a contig's frames are neighbours: long runs are quicker
to read, short ones mix better."""


def pools(
    count: int, pool_rows: int, generator: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """Yield the places ``0 … count - 1``, each once, a pool at a time; a pool is in random order.

    Where one pool holds all, this is a uniform permutation. Beyond that each pool is a
    cross-section of the whole: the places are cut into runs of :data:`RUN_ROWS` neighbours, of
    every ``q`` consecutive runs each of the ``q`` pools gets one, drawn at random, and each pool is
    then permuted uniformly. So whatever changes slowly from place to place (the class, where files
    of one follow those of the other; the genome; the file) has in every pool the share it has in
    all, nearer than chance would bring it. What remains of the order of the places is that
    neighbours within a run come in one pool. Where runs begin is drawn anew each time.

    Parameters
    ----------
    count
        How many places there are.
    pool_rows
        A pool has no more places than this, but one run at least.
    generator
        Decides the order.

    Examples
    --------
    >>> order = np.concatenate(list(pools(1000, 100, np.random.default_rng(0))))
    >>> sorted(order.tolist()) == list(range(1000))
    True
    """
    if count <= pool_rows:
        yield generator.permutation(count)
        return
    home, shift = _deal(count, pool_rows, generator)
    within = np.arange(RUN_ROWS) - shift
    for pool in range(int(home.max()) + 1):
        starts = np.flatnonzero(home == pool) * RUN_ROWS
        places = (starts[:, None] + within).ravel()
        yield generator.permutation(places[(places >= 0) & (places < count)])


def _deal(
    count: int, pool_rows: int, generator: np.random.Generator
) -> tuple[NDArray[np.int64], int]:
    """Return the pool of each run, and how far the first run lies before the first place."""
    shift = int(generator.integers(RUN_ROWS))
    runs = -(-(count + shift) // RUN_ROWS)
    per_pool = max(1, pool_rows // RUN_ROWS)
    number = -(-runs // per_pool)
    hands = -(-runs // number)
    cards = np.tile(np.arange(number), (hands, 1))
    return generator.permuted(cards, axis=1).ravel()[:runs], shift
