"""Probabilities follow from the weights alone, and contigs follow the published verdict."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from classifier import (
    RECIPES,
    ClassifierError,
    LayoutMismatch,
    TrainedClassifier,
    contig_scores,
    predict,
    train,
)
from tests.classifier.conftest import Toy


@pytest.fixture(scope="module")
def trained(toy: Toy) -> TrainedClassifier:
    recipe = replace(RECIPES["fast"], max_epochs=3)
    return train([toy.features], toy.labels, toy.groups, recipe=recipe, seed=0)


def test_probability_is_the_softmax_of_the_standardised_features(
    toy: Toy, trained: TrainedClassifier
) -> None:
    assert trained.standardisation is not None
    scaled = (toy.features - trained.standardisation.mean) / trained.standardisation.scale
    logits = trained.network(scaled).detach().double().numpy()
    expected = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
    scores = predict(trained, [toy.features])
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected, atol=1e-6)


def test_a_row_scores_the_same_in_whatever_company(toy: Toy, trained: TrainedClassifier) -> None:
    together = predict(trained, [toy.features])
    alone = [predict(trained, [toy.features[row : row + 1]])[0] for row in range(20)]
    np.testing.assert_allclose(together[:20], alone, atol=1e-6)


def test_scores_come_in_the_order_rows_are_asked(toy: Toy, trained: TrainedClassifier) -> None:
    blocks = torch.split(toy.features, 50)
    picked = predict(trained, blocks, rows=[200, 3, 77])
    np.testing.assert_allclose(picked, predict(trained, blocks)[[200, 3, 77]], atol=1e-6)


def test_no_rows_give_no_scores(trained: TrainedClassifier) -> None:
    assert predict(trained, [torch.zeros(0, 12)]).shape == (0,)


def test_features_of_another_width_are_refused_with_both_widths(
    trained: TrainedClassifier,
) -> None:
    with pytest.raises(LayoutMismatch, match="12 wide, these are 7 wide"):
        predict(trained, [torch.zeros(2, 7)])


def test_a_row_without_a_probability_is_named(trained: TrainedClassifier) -> None:
    features = torch.zeros(4, 12)
    features[2, 0] = torch.nan
    with pytest.raises(ClassifierError, match="row 2"):
        predict(trained, [features])


frames = st.lists(
    st.tuples(st.sampled_from(["c1", "c2", "c10", "é"]), st.floats(0, 1, width=32)), min_size=1
)


@given(frames)
def test_a_contig_is_viral_exactly_when_the_published_rule_says_so(
    frames: list[tuple[str, float]],
) -> None:
    names, scores = [name for name, _ in frames], np.array([p for _, p in frames], np.float32)
    result = contig_scores(names, scores)
    for contig, score in zip(result.contigs, result.probabilities, strict=True):
        own = [float(p) for name, p in zip(names, scores, strict=True) if name == contig]
        # determine_virus: largest viral score against largest host score
        assert (score >= 0.5) == (max(own) >= max(1 - p for p in own))
        assert float(score) in own
        assert abs(float(score) - 0.5) == max(abs(p - 0.5) for p in own)


def test_contigs_come_in_the_order_of_their_first_row() -> None:
    result = contig_scores(["b", "a", "b"], np.array([0.2, 0.3, 0.9], np.float32))
    assert result.contigs == ("b", "a")


def test_one_weak_viral_frame_does_not_outvote_a_sure_host_frame() -> None:
    assert contig_scores(["a", "a"], np.array([0.6, 0.01], np.float32)).probabilities[0] < 0.5


def test_no_frames_give_no_contigs() -> None:
    assert contig_scores([], np.zeros(0, np.float32)).contigs == ()


def test_frames_and_scores_of_two_lengths_are_refused() -> None:
    with pytest.raises(ClassifierError, match="1 contigs for 2"):
        contig_scores(["a"], np.zeros(2, np.float32))
