"""The recipes say what the published training does, and refuse nonsense."""

from __future__ import annotations

from dataclasses import replace

import pytest

from classifier import RECIPES, ClassifierError, UnknownRecipe, recipe_named


def test_original_is_the_published_training() -> None:
    # train.py of github.com/Li-Jing-1997/VirNucPro
    recipe = RECIPES["original"]
    assert (recipe.learning_rate, recipe.momentum) == (2e-4, 0.9)
    assert (recipe.schedule, recipe.step_epochs, recipe.gamma) == ("step", 10, 0.85)
    assert (recipe.batch_size, recipe.patience, recipe.max_epochs) == (32, 5, 200)
    assert not recipe.standardise


def test_every_recipe_is_listed_under_its_own_name() -> None:
    assert all(recipe.name == name for name, recipe in RECIPES.items())


def test_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(UnknownRecipe, match="did you mean original"):
        recipe_named("orginal")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("batch_size", 1),
        ("max_epochs", 0),
        ("patience", 0),
        ("learning_rate", 0.0),
        ("weight_decay", -0.1),
    ],
)
def test_a_recipe_that_cannot_train_is_refused(field: str, value: float) -> None:
    with pytest.raises(ClassifierError, match=field):
        replace(RECIPES["fast"], **{field: value})  # type: ignore[arg-type]
