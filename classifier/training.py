"""Training: features, labels and groups in, a trained classifier out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from classifier.blocks import Blocks, LabelledRows, Rows, as_rows
from classifier.devices import checked_device, cpu_threads
from classifier.errors import ClassifierError
from classifier.holdout import held_out
from classifier.network import MLPClassifier, Standardisation
from classifier.recipes import Epoch, Recipe

DEFAULT_VALIDATION_FRACTION = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class TrainedClassifier:
    """A network in evaluation mode on the CPU, and how it came about.

    ``standardisation`` is part of the model: features go through it first where it is not None.
    ``history`` has one entry per epoch; the weights are those of ``best_epoch``, counted from 1.
    """

    network: MLPClassifier
    standardisation: Standardisation | None
    recipe: Recipe
    seed: int
    history: tuple[Epoch, ...]
    best_epoch: int
    rows_trained: int
    rows_validated: int

    @property
    def width(self) -> int:
        """Columns the features must have."""
        return self.network.width

    def model(self) -> nn.Module:
        """Return the layers in the order features pass them, sharing these weights."""
        return _model(self.network, self.standardisation)


def train(  # noqa: PLR0913  what is learnt from, then how: all named where it is called
    blocks: Sequence[torch.Tensor],
    labels: Sequence[int] | NDArray[np.integer[Any]],
    groups: Sequence[str],
    *,
    recipe: Recipe,
    seed: int,
    rows: Sequence[int] | Rows | None = None,
    device: str = "cpu",
    threads: int = 1,
    validation_fraction: float = DEFAULT_VALIDATION_FRACTION,
    progress: bool = False,
) -> TrainedClassifier:
    """Train on some rows, stopping early on groups of theirs that are kept out of the fitting.

    Rows outside ``rows`` are never read, so a test set named nowhere cannot leak in. No class
    weights. The same arguments give the same weights, bit for bit, on the same CPU; how the rows
    are spread over blocks does not matter. Global random state is left as it was.

    Parameters
    ----------
    blocks
        float32 ``(n_i, d)``, e.g. memory-mapped shards; never put together in memory.
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
    progress
        Show a bar on the terminal.

    Returns
    -------
    TrainedClassifier
        With the weights of the epoch of lowest validation loss.

    Raises
    ------
    ClassifierError
        If labels, groups or rows do not fit the blocks, a feature is NaN or infinite, there are
        too few groups (:class:`TooFewGroups`), or no epoch reaches a finite loss.
    """
    place = checked_device(device)
    table = Blocks(blocks)
    chosen = as_rows(rows, table)
    truth = _checked_labels(labels, len(table))
    if len(groups) != len(table):
        raise ClassifierError(f"{len(groups)} groups for {len(table)} rows of features")
    names = np.asarray(groups, dtype=np.str_)[chosen]
    out = held_out(truth[chosen], names, fraction=validation_fraction, seed=seed)
    fitted, watched = chosen[~out], chosen[out]
    if len(fitted) < 2:
        raise ClassifierError(f"{len(fitted)} row(s) left to train on; at least 2 are needed")
    from classifier.fitting import fit  # noqa: PLC0415  brings skorch, which only training needs

    with cpu_threads(threads), _own_randomness(seed, place):
        mean, scale = _moments(table, fitted)
        _check_finite(table, watched)
        standardisation = Standardisation(mean, scale) if recipe.standardise else None
        network = MLPClassifier(table.width)
        history, best = fit(
            _model(network, standardisation),
            LabelledRows(table, truth, fitted),
            LabelledRows(table, truth, watched),
            recipe=recipe,
            device=device,
            progress=progress,
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


def _check_finite(table: Blocks, rows: Rows) -> None:
    for part, features in table.chunks(rows):
        sound = torch.isfinite(features).all(dim=1)
        if not bool(sound.all()):
            first = int(part[int(torch.argmin(sound.int()))])
            raise ClassifierError(
                f"row {first} of the features holds NaN or infinity; extract it again, in bfloat16 "
                f"or float32 if it was float16"
            )


def _moments(table: Blocks, rows: Rows) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of each column over the rows, float32 ``(d,)``, in one pass.

    Chunk means and squared deviations are combined in float64 as in Chan, Golub and LeVeque
    (1983), which does not lose digits where the mean is large. A constant column gets scale 1.
    """
    _check_finite(table, rows)
    seen = 0
    mean = torch.zeros(table.width, dtype=torch.float64)
    squares = torch.zeros(table.width, dtype=torch.float64)
    for part, features in table.chunks(rows):
        wide = features.double()
        here = wide.mean(dim=0)
        gap = here - mean
        total = seen + len(part)
        squares += (wide - here).square().sum(dim=0) + gap.square() * (seen * len(part) / total)
        mean += gap * (len(part) / total)
        seen = total
    scale = (squares / seen).sqrt()
    # a column that never varies says nothing; dividing by rounding noise would make it loud
    flat = scale <= 1e-6 * mean.abs()
    return mean.float(), torch.where(flat, torch.ones_like(scale), scale).float()


@contextmanager
def _own_randomness(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch for the body alone and put the global state back afterwards."""
    on_gpu = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if on_gpu else []):
        torch.default_generator.manual_seed(seed)
        if on_gpu:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield
