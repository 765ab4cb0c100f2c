"""Levels of invented predictions: labels, groups and probabilities as a test asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.judge.evaluation import Level


def level(
    labels: ArrayLike, chances: ArrayLike, groups: Sequence[Any] | NDArray[Any] | None = None
) -> Level:
    """One row of probabilities is one seed; without groups, each row is a group of its own."""
    truth = np.asarray(labels, dtype=np.int64)
    names = range(len(truth)) if groups is None else groups
    return Level(
        "chunk",
        truth,
        tuple(f"g{name}" for name in names),
        np.atleast_2d(np.asarray(chances, dtype=np.float32)),
    )


def noisy(
    labels: NDArray[np.int64], *, seeds: int, noise: float = 0.3, seed: int = 0
) -> NDArray[np.float32]:
    """Probabilities around the truth, two decimals each so that some are equal."""
    drawn = np.random.default_rng(seed).standard_normal((seeds, len(labels)))
    return np.clip(labels * 0.4 + 0.3 + noise * drawn, 0, 1).round(2).astype(np.float32)
