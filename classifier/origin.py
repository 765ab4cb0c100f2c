"""Where a classifier that did not begin from nothing began."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from classifier.layout import FeatureLayout


@dataclass(frozen=True, slots=True)
class Phase:
    """Some epochs in a row: which layers learnt in them, and the highest learning rate."""

    layers: Literal["first layer", "all layers"]
    learning_rate: float
    epochs: int


@dataclass(frozen=True, slots=True)
class Origin:
    """What a transferred classifier began with.

    ``layout``: the features on which the kept layers had been trained. ``phases`` follow each other
    as the epochs of :attr:`TrainedClassifier.history` do, and have as many together.
    """

    layout: FeatureLayout
    phases: tuple[Phase, ...]
