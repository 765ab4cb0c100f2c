"""Arrays in, probabilities out; knows no embedder.

>>> from classifier import RECIPES, train, predict
>>> trained = train(blocks, labels, groups, recipe=RECIPES["fast"], seed=0)  # doctest: +SKIP
>>> predict(trained, blocks)  # doctest: +SKIP
"""

from classifier.checkpoint import FeatureLayout, FeaturePart, check_layout, load, save
from classifier.errors import (
    CheckpointError,
    ClassifierError,
    LayoutMismatch,
    TooFewGroups,
    UnknownRecipe,
)
from classifier.inference import ContigScores, Probabilities, contig_scores, predict
from classifier.network import MLPClassifier
from classifier.recipes import RECIPES, Epoch, Recipe, recipe_named
from classifier.training import TrainedClassifier, train

__all__ = [
    "RECIPES",
    "CheckpointError",
    "ClassifierError",
    "ContigScores",
    "Epoch",
    "FeatureLayout",
    "FeaturePart",
    "LayoutMismatch",
    "MLPClassifier",
    "Probabilities",
    "Recipe",
    "TooFewGroups",
    "TrainedClassifier",
    "UnknownRecipe",
    "check_layout",
    "contig_scores",
    "load",
    "predict",
    "recipe_named",
    "save",
    "train",
]
