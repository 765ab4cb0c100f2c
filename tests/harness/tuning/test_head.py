"""The head: its first fit against scikit-learn's, and columns that say nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from harness.tuning.head import Head

PENALTY = 0.05


def test_the_first_fit_is_that_of_scikit_learn_on_standardised_columns() -> None:
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(120, 5)) * (1, 10, 0.1, 3, 1) + (0, 5, 1, -2, 0)).astype(np.float32)
    labels = (vectors[:, 0] + rng.normal(size=120) > 0).astype(np.int64)
    head = Head(5)
    head.fit_first(torch.from_numpy(vectors), torch.from_numpy(labels).float(), PENALTY)
    wide = vectors.astype(np.float64)
    columns = (wide - wide.mean(axis=0)) / wide.std(axis=0)
    # its objective is C times the sum of losses plus half the squared norm
    theirs = LogisticRegression(C=1 / (PENALTY * len(labels)), tol=1e-8).fit(columns, labels)
    assert head.weight.detach().numpy() == pytest.approx(theirs.coef_[0], abs=1e-4)
    assert head.bias.item() == pytest.approx(theirs.intercept_[0], abs=1e-4)
    logits = head(torch.from_numpy(vectors)).detach().numpy()
    assert logits == pytest.approx(theirs.decision_function(columns), abs=1e-3)


def test_a_column_that_never_varies_gets_no_weight_and_no_huge_scale() -> None:
    vectors = torch.randn(30, 3, generator=torch.Generator().manual_seed(0))
    vectors[:, 1] = 7.3
    head = Head(3)
    head.fit_first(vectors, (vectors[:, 0] > 0).float(), PENALTY)
    assert head.weight[1].item() == pytest.approx(0, abs=1e-6)
    assert head(vectors + torch.tensor([0, 1e-5, 0])).isfinite().all()
