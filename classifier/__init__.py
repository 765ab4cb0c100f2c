"""Arrays in, probabilities out; knows no embedder.

>>> from classifier import RECIPES, train, predict
>>> trained = train(blocks, labels, groups, recipe=RECIPES["fast"], seed=0)  # doctest: +SKIP
>>> predict(trained, blocks)  # doctest: +SKIP
"""

from classifier.checkpoint import load, save
from classifier.errors import (
    CheckpointError,
    ClassifierError,
    LayoutMismatch,
    TooFewGroups,
    UnknownRecipe,
)
from classifier.inference import ContigScores, Probabilities, contig_scores, predict
from classifier.layout import FeatureLayout, FeaturePart, check_layout
from classifier.network import MLPClassifier
from classifier.origin import Origin, Phase
from classifier.recipes import RECIPES, Epoch, Recipe, recipe_named
from classifier.stored import StoredRows
from classifier.training import TrainedClassifier, train
from classifier.transfer import Source, transfer

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
    "Origin",
    "Phase",
    "Probabilities",
    "Recipe",
    "Source",
    "StoredRows",
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
    "transfer",
]
