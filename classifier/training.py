"""Training: features, labels and groups in, a trained classifier out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from classifier.blocks import Block, Blocks, LabelledRows, Rows, as_rows
from classifier.devices import checked_device, cpu_threads, own_randomness
from classifier.errors import ClassifierError, LayoutMismatch
from classifier.feeding import Prepare
from classifier.holdout import group_numbers, held_out
from classifier.moments import check_finite, moments
from classifier.network import MLPClassifier, Standardisation
from classifier.origin import Origin
from classifier.precision import training_in_bfloat16
from classifier.recipes import Epoch, Recipe

DEFAULT_VALIDATION_FRACTION = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class TrainedClassifier:
    """A network in evaluation mode on the CPU, and how it came about.

    ``standardisation`` is part of the model: features go through it first where it is not None.
    ``history`` has one entry per epoch; the weights are those of ``best_epoch``, counted from 1.
    ``origin`` is None for one that was trained from new weights.
    """

    network: MLPClassifier
    standardisation: Standardisation | None
    recipe: Recipe
    seed: int
    history: tuple[Epoch, ...]
    best_epoch: int
    rows_trained: int
    rows_validated: int
    origin: Origin | None = None

    @property
    def width(self) -> int:
        """Columns the features must have."""
        return self.network.width

    def model(self) -> nn.Module:
        """Return the layers in the order features pass them, sharing these weights."""
        return _model(self.network, self.standardisation)


def train(  # noqa: PLR0913  what is learnt from, then how: all named where it is called
    blocks: Sequence[Block],
    labels: Sequence[int] | NDArray[np.integer[Any]],
    groups: Sequence[str],
    *,
    recipe: Recipe,
    seed: int,
    rows: Sequence[int] | Rows | None = None,
    device: str = "cpu",
    threads: int = 1,
    validation_fraction: float = DEFAULT_VALIDATION_FRACTION,
    start: MLPClassifier | None = None,
    progress: bool = False,
) -> TrainedClassifier:
    """Train on some rows, stopping early on groups of theirs that are kept out of the fitting.

    Rows outside ``rows`` are never read, so a test set named nowhere cannot leak in. No class
    weights. The same arguments give the same weights, bit for bit, on the same CPU; how the rows
    are spread over blocks does not matter. Global random state is left as it was.

    Each epoch goes through the rows in an order of its own: a uniform permutation up to 256 MiB of
    features, beyond that one that needs no more of them in memory at a time
    (:func:`classifier.shuffling.pools`).

    Parameters
    ----------
    blocks
        float32 ``(n_i, d)``: tensors, which may be mapped, or where in files such rows lie
        (:class:`classifier.StoredRows`), of which memory then holds no more than it needs.
    labels
        0 (host) or 1 (viral) for every row of all blocks, ``(n,)``.
    groups
        Genome, organism or cluster of every row, ``(n,)``.
    recipe
        One of :data:`classifier.RECIPES`, or your own.
    seed
        Decides initial weights, dropout, batches and the early-stopping groups.
    rows
        Rows to learn from, counted through all blocks; all by default.
    device
        A torch device that is there, e.g. ``cpu`` or ``cuda:0``.
    threads
        Cores for each operation on a CPU. One is quickest for batches of this size unless the
        features are thousands wide, and the weights then do not depend on how many cores there are.
    validation_fraction
        Share of each class's rows that watches for early stopping, by whole groups.
    start
        A network to begin with, copied; None begins with new weights. Parameters of it that want no
        gradient stay as they are.
    progress
        Show a bar on the terminal.

    Returns
    -------
    TrainedClassifier
        With the weights of the epoch of lowest validation loss.

    Raises
    ------
    ClassifierError
        If labels, groups, rows or ``start`` do not fit the blocks, a feature is NaN or infinite,
        there are too few groups (:class:`TooFewGroups`), or no epoch reaches a finite loss.
    """
    place = checked_device(device)
    table = Blocks(blocks)
    if start is not None and start.width != table.width:
        raise LayoutMismatch(
            f"the network to begin with takes {start.width} columns, but these features have "
            f"{table.width}; classifier.transfer gives it a new first layer"
        )
    chosen = as_rows(rows, table)
    truth = _checked_labels(labels, len(table))
    if len(groups) != len(table):
        raise ClassifierError(f"{len(groups)} groups for {len(table)} rows of features")
    out = held_out(
        truth[chosen], group_numbers(groups)[chosen], fraction=validation_fraction, seed=seed
    )
    fitted, watched = chosen[~out], chosen[out]
    if len(fitted) < 2:
        raise ClassifierError(f"{len(fitted)} row(s) left to train on; at least 2 are needed")
    from classifier.fitting import fit  # noqa: PLC0415  brings skorch, which only training needs

    with cpu_threads(threads), own_randomness(seed, place):
        standardisation = Standardisation(*moments(table, fitted)) if recipe.standardise else None
        check_finite(table, watched if recipe.standardise else chosen)
        network = MLPClassifier(table.width) if start is None else deepcopy(start)
        with _arithmetic(recipe, network, standardisation) as (model, prepare):
            history, best = fit(
                model,
                LabelledRows(table, truth, fitted),
                LabelledRows(table, truth, watched),
                recipe=recipe,
                device=device,
                progress=progress,
                prepare=prepare,
            )
    return TrainedClassifier(
        network=network.cpu().eval(),
        standardisation=None if standardisation is None else standardisation.cpu().eval(),
        recipe=recipe,
        seed=seed,
        history=history,
        best_epoch=best,
        rows_trained=len(fitted),
        rows_validated=len(watched),
    )


@contextmanager
def _arithmetic(
    recipe: Recipe, network: MLPClassifier, standardisation: Standardisation | None
) -> Iterator[tuple[nn.Module, Prepare | None]]:
    """Yield what is fitted, and what is done to rows before they are given to it."""
    if recipe.precision == "float32":
        yield _model(network, standardisation), None
        return
    # standardised before they are rounded: a column's mean may be many times its spread
    prepare = nn.Sequential() if standardisation is None else standardisation
    with training_in_bfloat16(network) as model:
        yield model, lambda rows: prepare(rows).bfloat16()


def _model(network: MLPClassifier, standardisation: Standardisation | None) -> nn.Module:
    return network if standardisation is None else nn.Sequential(standardisation, network)


def _checked_labels(
    labels: Sequence[int] | NDArray[np.integer[Any]], count: int
) -> NDArray[np.int64]:
    truth = np.asarray(labels, dtype=np.int64)
    if truth.shape != (count,):
        raise ClassifierError(f"labels of shape {truth.shape} for {count} rows of features")
    other = truth[(truth != 0) & (truth != 1)]
    if other.size:
        raise ClassifierError(f"a label must be 0 (host) or 1 (viral), not {other[0]}")
    return truth
