"""The table of training recipes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Literal

from classifier.errors import ClassifierError, UnknownRecipe


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides how the network is trained, the data and the seed excepted.

    The optimiser is stochastic gradient descent with ``momentum`` and ``weight_decay``.
    ``schedule``: ``step`` multiplies the learning rate by ``gamma`` every ``step_epochs`` epochs;
    ``one-cycle`` warms up to ``learning_rate`` and anneals to nearly zero over ``max_epochs``
    (Smith and Topin 2018, arXiv:1708.07120). Training stops after ``patience`` epochs without a
    lower validation loss, or at ``max_epochs``; the weights of the best epoch are kept.
    ``standardise``: shift and scale each column by its training mean and standard deviation.
    ``precision``: of the matrix products in training (:mod:`classifier.precision`).
    """

    name: str
    learning_rate: float
    batch_size: int
    max_epochs: int
    patience: int
    schedule: Literal["step", "one-cycle"]
    momentum: float = 0.9
    step_epochs: int = 10
    gamma: float = 0.85
    standardise: bool = False
    precision: Literal["float32", "bfloat16"] = "float32"
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        # BatchNorm has no variance to divide by in a batch of one row
        for field, least in (("batch_size", 2), ("max_epochs", 1), ("patience", 1)):
            value = getattr(self, field)
            if value < least:
                raise ClassifierError(
                    f"{field} of recipe {self.name!r} must be at least {least}, not {value}"
                )
        if not self.learning_rate > 0:
            raise ClassifierError(
                f"learning_rate of recipe {self.name!r} must be above 0, not {self.learning_rate}"
            )
        if not self.weight_decay >= 0:
            raise ClassifierError(
                f"weight_decay of recipe {self.name!r} must not be below 0: {self.weight_decay}"
            )


@dataclass(frozen=True, slots=True)
class Epoch:
    """Mean cross-entropy (nats per row) over one pass; training loss with dropout on."""

    train_loss: float
    validation_loss: float


RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        recipe.name: recipe
        for recipe in (
            # train.py of the published pipeline, its cap of 200 epochs included. One difference:
            # there early stopping keeps a reference to the live weights, so the last epoch's
            # weights are saved; here the best epoch's are, as was plainly meant.
            Recipe(
                name="original",
                learning_rate=2e-4,
                batch_size=32,
                max_epochs=200,
                patience=5,
                schedule="step",
            ),
            # The same optimiser, annealed over few epochs from a rate fifty times higher, on twice
            # the batch. Standardised, because that rate only suits columns of one scale, and so
            # that two embedders of different scale are trained alike. AdamW was measured too: no
            # better on proteins, and quicker to fit noise. Figures in docs/training-recipes.md.
            Recipe(
                name="fast",
                learning_rate=1e-2,
                batch_size=64,
                max_epochs=10,
                patience=5,
                schedule="one-cycle",
                standardise=True,
            ),
            # For a hundred thousand rows and more: a batch at which the matrix products are near
            # what the processor can do, in the arithmetic in which it can do most, and as few
            # passes over the rows as are needed. Few steps need a high rate to learn what is not
            # linear, and at a high rate weight decay keeps the noise out. Figures in
            # docs/features-at-scale.md.
            Recipe(
                name="large",
                learning_rate=0.4,
                batch_size=1024,
                max_epochs=5,
                patience=5,
                schedule="one-cycle",
                standardise=True,
                precision="bfloat16",
                weight_decay=4e-3,
            ),
        )
    }
)


def recipe_named(name: str) -> Recipe:
    """Look a recipe up.

    Raises
    ------
    UnknownRecipe
        If there is none of that name; the message lists the nearest.

    Examples
    --------
    >>> recipe_named("original").batch_size
    32
    """
    if name in RECIPES:
        return RECIPES[name]
    near = get_close_matches(name.lower(), RECIPES, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(RECIPES)}"
    raise UnknownRecipe(f"unknown recipe {name!r}; {hint}")
