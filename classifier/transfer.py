"""Transfer: a trained classifier's later layers, behind a new first layer for other features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from classifier.blocks import Block, Blocks, Rows
from classifier.errors import ClassifierError, LayoutMismatch
from classifier.layout import FeatureLayout
from classifier.network import HIDDEN_UNITS, MLPClassifier
from classifier.origin import Origin, Phase
from classifier.recipes import Recipe
from classifier.training import DEFAULT_VALIDATION_FRACTION, TrainedClassifier, train

KEPT = ("norm.weight", "norm.bias", "output.weight", "output.bias")
"""What is kept of a source. BatchNorm's running statistics are not: they describe the activations
of the first layer that is replaced. Li et al. 2016 (arXiv:1603.04779) renew them for the same
reason wherever the inputs change."""

FINE_TUNING = 0.1
"""The second phase's learning rate, as a part of the recipe's."""


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """The layers that are kept of a trained classifier, and the features it was trained on.

    ``kept`` holds copies of the tensors called :data:`KEPT`, some 8 KB: the classifier itself need
    not stay in memory.
    """

    layout: FeatureLayout
    kept: Mapping[str, torch.Tensor]

    @classmethod
    def of(cls, trained: TrainedClassifier, layout: FeatureLayout) -> Source:
        """Take the layers out of what :func:`classifier.train` or :func:`classifier.load` gave."""
        return cls(layout, _kept(trained.network))

    @classmethod
    def untrained(cls, layout: FeatureLayout, seed: int) -> Source:
        """Return the layers that :func:`classifier.train` would begin with under the same seed.

        A control: transferred from it, a classifier passes through both phases and keeps nothing
        that was learnt. ``layout`` is the new features'.
        """
        return cls(layout, _kept(_new(layout.width, seed)))


def transfer(  # noqa: PLR0913  as classifier.train
    source: Source,
    blocks: Sequence[Block],
    labels: Sequence[int] | NDArray[np.integer[Any]],
    groups: Sequence[str],
    *,
    layout: FeatureLayout,
    recipe: Recipe,
    seed: int,
    rows: Sequence[int] | Rows | None = None,
    device: str = "cpu",
    threads: int = 1,
    validation_fraction: float = DEFAULT_VALIDATION_FRACTION,
    progress: bool = False,
) -> TrainedClassifier:
    """Train on new features, beginning with the later layers of a classifier for other ones.

    The first layer is new: the one that :func:`classifier.train` would begin with under the same
    seed. Two phases follow, each over half of the recipe's epochs, so that together they may take
    as many as training from nothing:

    1. Only the first layer learns. The kept weights are frozen, BatchNorm's scale and shift among
       them; but BatchNorm goes on normalising by what comes out of the new layer, and its running
       statistics follow. To run it on the source's statistics, as is right where the layers in
       front of it are kept, would scale the new activations by the spread of the old ones.
    2. All layers learn, at a tenth of the recipe's rate.

    Each phase stops early by itself, on the same groups, which are those that
    :func:`classifier.train` would keep out. The weights are those of the lowest validation loss of
    both phases. The same arguments give the same weights, bit for bit, on the same CPU.

    Parameters
    ----------
    source
        What is kept.
    blocks, labels, groups, rows
        As in :func:`classifier.train`.
    layout
        Of the new features; named where something does not fit.
    recipe
        Of both phases, its rate and epochs aside; at least 2 epochs.
    seed, device, threads, validation_fraction, progress
        As in :func:`classifier.train`.

    Returns
    -------
    TrainedClassifier
        ``origin`` names the source's features and the phases; ``history`` goes through both.

    Raises
    ------
    LayoutMismatch
        If the source's layers are of another shape, or the features of another width than their
        layout.
    ClassifierError
        If a kept weight is NaN or infinite, the recipe has one epoch only, or as in
        :func:`classifier.train`.
    """
    first, second = _halves(recipe)
    width = Blocks(blocks).width
    if width != layout.width:
        raise LayoutMismatch(f"the features are {width} wide, but their layout says {layout}")
    network = _begin(source, layout, seed)
    learn = partial(
        train,
        blocks,
        labels,
        groups,
        seed=seed,
        rows=rows,
        device=device,
        threads=threads,
        validation_fraction=validation_fraction,
        progress=progress,
    )
    frozen = learn(recipe=first, start=_learning(network, all_layers=False))
    tuned = learn(recipe=second, start=_learning(frozen.network, all_layers=True))
    gained = _lowest_loss(tuned) < _lowest_loss(frozen)
    chosen = tuned if gained else frozen
    return replace(
        chosen,
        network=_learning(chosen.network, all_layers=True),
        recipe=recipe,
        history=frozen.history + tuned.history,
        best_epoch=chosen.best_epoch + (len(frozen.history) if gained else 0),
        origin=Origin(
            source.layout,
            (
                Phase("first layer", first.learning_rate, len(frozen.history)),
                Phase("all layers", second.learning_rate, len(tuned.history)),
            ),
        ),
    )


def _halves(recipe: Recipe) -> tuple[Recipe, Recipe]:
    """Return the recipes of both phases; the first has the odd epoch."""
    later = recipe.max_epochs // 2
    if not later:
        raise ClassifierError(
            f"recipe {recipe.name!r} has one epoch, and a transfer has two phases; set max_epochs "
            f"to at least 2"
        )
    return (
        replace(recipe, max_epochs=recipe.max_epochs - later),
        replace(recipe, max_epochs=later, learning_rate=FINE_TUNING * recipe.learning_rate),
    )


def _lowest_loss(trained: TrainedClassifier) -> float:
    return trained.history[trained.best_epoch - 1].validation_loss


def _begin(source: Source, layout: FeatureLayout, seed: int) -> MLPClassifier:
    """Return a network with a new first layer, and the source's layers behind it."""
    network = _new(layout.width, seed)
    state = network.state_dict()
    pair = f"the classifier for {source.layout} cannot serve {layout}"
    for name, tensor in source.kept.items():
        if tensor.shape != state[name].shape:
            raise LayoutMismatch(
                f"{pair}: its {name} has the shape {tuple(tensor.shape)}, and behind "
                f"{HIDDEN_UNITS} hidden units {tuple(state[name].shape)} is needed; train from "
                f"nothing, or take a source of this network"
            )
        if not bool(torch.isfinite(tensor).all()):
            raise ClassifierError(
                f"{pair}: its {name} holds NaN or infinity; train the source again"
            )
    network.load_state_dict(state | dict(source.kept))
    return network


def _new(width: int, seed: int) -> MLPClassifier:
    """Return the network that :func:`classifier.train` begins with under the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return MLPClassifier(width)


def _kept(network: MLPClassifier) -> dict[str, torch.Tensor]:
    state = network.state_dict()
    return {name: state[name].clone() for name in KEPT}


def _learning(network: MLPClassifier, *, all_layers: bool) -> MLPClassifier:
    """Return a copy of which all layers learn, or the first one alone."""
    copy = deepcopy(network)
    for layer in (copy.norm, copy.output):
        layer.requires_grad_(all_layers)
    return copy
