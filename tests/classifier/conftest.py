"""Small labelled features that any of these tests may learn from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray


@dataclass(frozen=True)
class Toy:
    """Rows of two classes in groups of one class each."""

    features: torch.Tensor
    labels: NDArray[np.int64]
    groups: tuple[str, ...]


def make_toy(*, rows: int = 240, width: int = 12, groups: int = 24, shift: float = 3.0) -> Toy:
    """Two Gaussian clouds, ``shift`` standard deviations apart in each of three columns."""
    generator = torch.Generator().manual_seed(7)
    group_of = np.arange(rows) % groups
    labels = (group_of % 2).astype(np.int64)
    features = torch.randn(rows, width, generator=generator) * 2 + 5
    features[:, :3] += shift * 2 * torch.from_numpy(labels)[:, None]
    return Toy(features, labels, tuple(f"g{number}" for number in group_of))


@pytest.fixture(scope="session")
def toy() -> Toy:
    return make_toy()


@pytest.fixture(scope="session")
def noise() -> Toy:
    """Labels that the features say nothing about."""
    return make_toy(rows=600, groups=60, shift=0.0)
