"""Batches for large data: rows from anywhere, mixed in one pool of bounded size at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from classifier.blocks import Blocks, LabelledRows
from classifier.shuffling import RUN_ROWS, pools

POOL_BYTES = 2**28
"""Features in float32 up to this size, 256 MiB, are mixed as a whole."""
PREPARED_ROWS = 128
"""Rows prepared at once; what is computed on the way then stays in the processor's cache."""

Batch = tuple[torch.Tensor, torch.Tensor]
"""Features ``(k, d)`` and labels int64 ``(k,)``."""
Prepare = Callable[[torch.Tensor], torch.Tensor]
"""Turns float32 rows ``(k, d)`` into what the model is given."""


def pool_rows(width: int) -> int:
    """Return how many rows of this width are mixed at once."""
    return max(RUN_ROWS, POOL_BYTES // (4 * width))


class Feed:
    """The batches of one epoch, each time it is iterated; stands where torch's loader stands.

    In memory are one pool of prepared rows and one chunk that is being read. A batch is a view of
    the pool, good until the next one is asked for. Shuffled, the order is drawn from torch's
    global generator, anew for each epoch (:func:`classifier.shuffling.pools`).

    Parameters
    ----------
    dataset
        Rows and labels.
    batch_size
        Rows of each batch but the last.
    shuffle
        Mix; otherwise rows come as they stand in the data set.
    drop_last
        Leave out what does not fill a batch.
    prepare
        What is done to rows once they are read; None leaves them as they are.
    """

    def __init__(
        self,
        dataset: LabelledRows,
        *,
        batch_size: int,
        shuffle: bool = False,
        drop_last: bool = False,
        prepare: Prepare | None = None,
    ) -> None:
        self._dataset = dataset
        self._batch_size = batch_size
        self._shuffle = shuffle
        self._drop_last = drop_last
        self._prepare = prepare
        self._pool: torch.Tensor | None = None

    def __iter__(self) -> Iterator[Batch]:
        kept: Batch | None = None
        for features, labels in self._pools() if self._shuffle else self._chunks():
            start = 0
            if kept is not None:  # the last pool has begun a batch
                start = self._batch_size - len(kept[1])
                kept = torch.cat((kept[0], features[:start])), torch.cat((kept[1], labels[:start]))
                if len(kept[1]) < self._batch_size:
                    continue
                yield kept
            stop = start + (len(labels) - start) // self._batch_size * self._batch_size
            for first in range(start, stop, self._batch_size):
                last = first + self._batch_size
                yield features[first:last], labels[first:last]
            kept = (features[stop:].clone(), labels[stop:]) if stop < len(labels) else None
        if kept is not None and not self._drop_last:
            yield kept

    def _chunks(self) -> Iterator[Batch]:
        """Rows in their own order, without a pool."""
        done = 0
        for part, features in self._dataset.blocks.chunks(self._dataset.rows):
            yield self._prepared(features), self._dataset.labels[done : done + len(part)]
            done += len(part)

    def _pools(self) -> Iterator[Batch]:
        blocks, rows = self._dataset.blocks, self._dataset.rows
        capacity = min(len(rows), pool_rows(blocks.width))
        if self._pool is None:  # kept from epoch to epoch: new memory is slow at the first touch
            like = self._prepared(torch.zeros(1, blocks.width))
            self._pool = torch.empty(capacity, blocks.width, dtype=like.dtype)
        seed = int(torch.empty((), dtype=torch.int64).random_())
        orders = pools(len(rows), capacity, np.random.default_rng(seed))
        none = np.zeros(0, dtype=np.int64)
        for order, following in pairwise(chain(orders, [none])):
            self._fill(self._pool, order)
            blocks.expect(rows[np.sort(following)])
            yield self._pool[: len(order)], self._dataset.labels[torch.from_numpy(order)]

    def _fill(self, pool: torch.Tensor, order: NDArray[np.int64]) -> None:
        """Read the rows at these places in the order of the data set, and put each in its slot."""
        slots = np.argsort(order)
        ascending = self._dataset.rows[order[slots]]
        target, done = _bytes(pool), 0
        for _, features in self._dataset.blocks.chunks(ascending):
            for few in self._pieces(features):
                target[slots[done : done + len(few)]] = _bytes(few)
                done += len(few)

    def _prepared(self, features: torch.Tensor) -> torch.Tensor:
        return features if self._prepare is None else torch.cat(list(self._pieces(features)))

    def _pieces(self, features: torch.Tensor) -> Iterator[torch.Tensor]:
        """Prepare some rows at a time."""
        for few in torch.split(features, PREPARED_ROWS):
            yield few if self._prepare is None else self._prepare(few)


def _bytes(rows: torch.Tensor) -> NDArray[np.uint8]:
    """View rows as bytes: numpy copies a row as a whole, several times as fast as torch."""
    return rows.view(torch.uint8).numpy()


def fits(blocks: Blocks, rows: int) -> bool:
    """Tell whether so many rows are mixed as a whole."""
    return rows <= pool_rows(blocks.width)
