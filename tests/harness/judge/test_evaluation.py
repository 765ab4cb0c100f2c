"""Out-of-fold predictions: each row once per seed, by a model that saw nothing of its group."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from sklearn import metrics as reference

import classifier
from classifier import RECIPES, Recipe, TrainedClassifier
from embedders.errors import InputError
from harness.evidence import Classification
from harness.judge import (
    Examples,
    Predictions,
    TooFewGenomes,
    cross_validate,
    grouped_folds,
    read_predictions,
    summarise,
    write_predictions,
)

ROWS, GROUPS, FRAMES = 240, 30, 2
RECIPE = replace(RECIPES["fast"], max_epochs=3)
GROUP_OF = np.arange(ROWS) // (ROWS // GROUPS)
LABELS = GROUP_OF % 2
GROUP_NAMES = [f"g{number}" for number in GROUP_OF]
IDS = [f"c{row // FRAMES}_chunk_1F{row % FRAMES + 1}" for row in range(ROWS)]
CONTIGS = [f"c{row // FRAMES}" for row in range(ROWS)]

Matrix = torch.Tensor | Sequence[torch.Tensor]


def features(shift: float = 1.0, width: int = 8, seed: int = 0) -> torch.Tensor:
    matrix = torch.randn(ROWS, width, generator=torch.Generator().manual_seed(seed))
    matrix[:, :3] += shift * torch.from_numpy(LABELS)[:, None]
    return matrix


def validate(
    matrix: Matrix,
    labels: NDArray[np.int64] = LABELS,
    *,
    ids: Sequence[str] = IDS,
    contigs: Sequence[str] = CONTIGS,
    folds: int = 3,
    seeds: Sequence[int] = (0, 1),
) -> Predictions:
    examples = Examples(tuple(ids), tuple(contigs), tuple(GROUP_NAMES), labels)
    return cross_validate(
        [matrix] if isinstance(matrix, torch.Tensor) else matrix,
        examples,
        folds=folds,
        seeds=seeds,
        recipe=RECIPE,
    )


def about(predictions: Predictions) -> tuple[Classification, ...]:
    return summarise(predictions, arm="baseline", dataset="toy", file="p.csv", sha256="0" * 64)


@pytest.fixture(scope="module")
def predictions() -> Predictions:
    return validate(features())


def test_rows_are_tested_in_the_folds_of_their_seed(predictions: Predictions) -> None:
    for number, seed in enumerate(predictions.seeds):
        for fold, cut in enumerate(grouped_folds(LABELS, GROUP_NAMES, 3, seed)):
            assert np.array_equal(np.flatnonzero(predictions.folds[number] == fold), cut.test)


def test_both_arms_get_identical_folds_whatever_their_width(predictions: Predictions) -> None:
    other = validate(features(width=3, seed=1))
    assert np.array_equal(other.folds, predictions.folds)


def test_the_same_arguments_give_the_same_predictions(predictions: Predictions) -> None:
    parts = torch.split(features(), 100)
    assert np.array_equal(validate(parts).probabilities, predictions.probabilities)


def test_a_seed_gives_the_same_predictions_in_whatever_company(predictions: Predictions) -> None:
    alone = validate(features(), seeds=(1,))
    assert np.array_equal(alone.probabilities[0], predictions.probabilities[1])


def test_test_rows_never_reach_the_training_of_their_fold(
    predictions: Predictions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spoil the test rows of each fold while it trains: the same model must come out."""
    train = classifier.train

    def spoiled(
        blocks: Sequence[torch.Tensor],
        labels: NDArray[np.int64],
        groups: Sequence[str],
        *,
        rows: NDArray[np.int64],
        recipe: Recipe,
        seed: int,
        device: str,
    ) -> TrainedClassifier:
        outside = np.setdiff1d(np.arange(ROWS), rows)
        matrix, truth = blocks[0].clone(), labels.copy()
        matrix[outside] = torch.nan
        truth[outside] = 1 - truth[outside]
        return train([matrix], truth, groups, rows=rows, recipe=recipe, seed=seed, device=device)

    monkeypatch.setattr(classifier, "train", spoiled)
    assert np.array_equal(validate(features()).probabilities, predictions.probabilities)


def test_separable_data_score_near_one_and_shuffled_labels_near_chance() -> None:
    found = about(validate(features(shift=4.0), seeds=(0,)))[0].mean
    assert found["roc_auc"] is not None
    assert found["roc_auc"] > 0.99
    shuffled = np.random.default_rng(0).permutation(GROUPS)[GROUP_OF] % 2
    by_chance = about(validate(features(shift=4.0), shuffled, seeds=(0,)))[0].mean
    # 15 groups of each class: the standard error of a chance AUC over groups is about 0.1
    assert by_chance["roc_auc"] is not None
    assert 0.2 < by_chance["roc_auc"] < 0.8


def test_every_rate_follows_from_the_csv_alone(predictions: Predictions, tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    write_predictions(path, predictions)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    chunk, contig = summarise(
        read_predictions(path), arm="baseline", dataset="toy", file=path.name, sha256=digest
    )
    table = pd.read_csv(path)
    table["truth"] = (table["label"] == "viral").astype(int)
    for number, seed in enumerate(chunk.seeds):
        frames = table[table["seed"] == seed]
        surest = (frames["probability"] - 0.5).abs().groupby(frames["contig"]).idxmax()
        for record, rows in ((chunk, frames), (contig, frames.loc[surest])):
            truth, chance = rows["truth"], rows["probability"]
            called = (chance >= 0.5).astype(int)
            found = record.per_seed[number]
            expected = {
                "accuracy": reference.accuracy_score(truth, called),
                "precision": reference.precision_score(truth, called),
                "recall": reference.recall_score(truth, called),
                "specificity": reference.recall_score(truth, called, pos_label=0),
                "f1": reference.f1_score(truth, called),
                "mcc": reference.matthews_corrcoef(truth, called),
                "roc_auc": reference.roc_auc_score(truth, chance),
                "pr_auc": reference.average_precision_score(truth, chance),
                "brier": reference.brier_score_loss(truth, chance),
            }
            assert {name: getattr(found, name) for name in expected} == pytest.approx(expected)
            matrix = reference.confusion_matrix(truth, called).ravel().tolist()
            assert [found.tn, found.fp, found.fn, found.tp] == matrix
            assert found.n == len(rows)


def test_means_are_over_seeds(predictions: Predictions) -> None:
    for record in about(predictions):
        for name, value in record.mean.items():
            each = [getattr(metrics, name) for metrics in record.per_seed]
            assert value == pytest.approx(sum(each) / 2)


def test_contig_level_is_left_out_where_every_row_stands_alone() -> None:
    alone = validate(features(), contigs=IDS, seeds=(0,))
    assert [record.level for record in about(alone)] == ["chunk"]


def test_a_rate_that_a_seed_lacks_has_no_mean(predictions: Predictions) -> None:
    nothing_viral = replace(predictions, probabilities=np.zeros_like(predictions.probabilities))
    chunk = about(nothing_viral)[0]
    assert chunk.mean["precision"] is None
    assert chunk.mean["recall"] == 0


def test_what_cannot_be_evaluated_is_refused() -> None:
    with pytest.raises(InputError, match="240 contigs for 239 ids"):
        validate(features(), ids=IDS[:-1])
    with pytest.raises(InputError, match="480 rows of features for 240 examples"):
        validate([features(), features()])
    with pytest.raises(InputError, match="no seeds"):
        validate(features(), seeds=())


def test_too_few_genomes_to_fold_or_to_stop_early_by_are_told_apart_from_bad_input() -> None:
    with pytest.raises(TooFewGenomes, match="at most 15 folds"):
        validate(features(), folds=16)
    two_of_each = tuple(f"g{row * 2 // ROWS}-{LABELS[row]}" for row in range(ROWS))
    examples = Examples(tuple(IDS), tuple(IDS), two_of_each, LABELS)
    with pytest.raises(TooFewGenomes, match=r"fold 0 of 2: 1 \w+ group\(s\) in the training rows"):
        cross_validate([features()], examples, folds=2, seeds=(0,), recipe=RECIPE)
