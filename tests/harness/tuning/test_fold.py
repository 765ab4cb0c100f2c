"""One fold: the test rows are scored, and nothing of them is learnt from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from classifier import recipe_named
from embedders import checkpoint, load
from harness.judge import Fold
from harness.spec import Arm, Embedding
from harness.tuning import OtherTraining, Start, TuningRecipe
from harness.tuning import fold as fold_module
from harness.tuning.fold import FoldScores, Setting, score_fold
from tests.harness.tuning.motifs import motifs

START = Start(checkpoint("mini-candidate"), device="cpu")
PROTEINS = motifs(72, seed=1)
SETTING = Setting(
    proteins=PROTEINS,
    dna=torch.zeros((72, 0)),
    start=START,
    weights=load("mini-candidate", device="cpu").spec.weights.sha256,
    recipe=TuningRecipe(learning_rate=5e-3, max_epochs=1, max_residues=16),
    classifier=replace(recipe_named("fast"), max_epochs=2),
    arm=Arm("mini-candidate", runtime="packed"),
    embedding=Embedding(device="cpu"),
)
TEST = np.array([row for row in range(72) if row % 12 in (0, 1)])
FOLD = Fold(np.setdiff1d(np.arange(72), TEST), TEST)


@pytest.fixture(scope="module")
def scores(tmp_path_factory: pytest.TempPathFactory) -> FoldScores:
    return score_fold(SETTING, FOLD, 0, tmp_path_factory.mktemp("fold") / "one.safetensors")


def equal(one: FoldScores, other: FoldScores) -> bool:
    return np.array_equal(one.classifier, other.classifier) and np.array_equal(one.head, other.head)


def test_labels_and_groups_of_test_rows_change_nothing(scores: FoldScores, tmp_path: Path) -> None:
    labels = PROTEINS.labels.copy()
    labels[TEST] = 1 - labels[TEST]
    groups = tuple(
        "elsewhere" if row in TEST else group for row, group in enumerate(PROTEINS.groups)
    )
    blind = replace(SETTING, proteins=replace(PROTEINS, labels=labels, groups=groups))
    assert equal(score_fold(blind, FOLD, 0, tmp_path / "one.safetensors"), scores)


def test_residues_of_test_rows_change_their_own_scores_alone(
    scores: FoldScores, tmp_path: Path
) -> None:
    residues = list(PROTEINS.residues)
    residues[TEST[0]] = "MKTAYIAKQRQISFVK"
    other = replace(SETTING, proteins=replace(PROTEINS, residues=tuple(residues)))
    found = score_fold(other, FOLD, 0, tmp_path / "one.safetensors")
    assert found.record == scores.record
    for now, before in ((found.classifier, scores.classifier), (found.head, scores.head)):
        assert now[0] != before[0]
        # the row's batch-mates in embedding are others now, which may move the last bits
        assert now[1:] == pytest.approx(before[1:], abs=1e-5)


def test_labels_of_training_rows_do_change_the_scores(scores: FoldScores, tmp_path: Path) -> None:
    labels = PROTEINS.labels.copy()
    labels[FOLD.train] = 1 - labels[FOLD.train]
    flipped = replace(SETTING, proteins=replace(PROTEINS, labels=labels))
    found = score_fold(flipped, FOLD, 0, tmp_path / "one.safetensors")
    assert not np.array_equal(found.classifier, scores.classifier)
    assert not np.array_equal(found.head, scores.head)


def test_what_stands_is_read_and_not_made_again(
    scores: FoldScores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "one.safetensors"
    assert equal(score_fold(SETTING, FOLD, 0, file), scores)
    assert [each.name for each in tmp_path.iterdir()] == ["one.safetensors"]
    monkeypatch.setattr(fold_module, "tune", None)
    assert equal(score_fold(SETTING, FOLD, 0, file), scores)
    with pytest.raises(OtherTraining, match="seed was 0 and is 1"):
        score_fold(SETTING, FOLD, 1, file)
    other = replace(SETTING, dna=torch.ones((72, 3)))
    with pytest.raises(OtherTraining, match="dna was"):
        score_fold(other, FOLD, 0, file)


def test_the_dna_half_goes_to_the_classifier_and_not_to_the_head(
    scores: FoldScores, tmp_path: Path
) -> None:
    # a column that is the label: only who reads it can use it
    dna = torch.tensor(PROTEINS.labels, dtype=torch.float32)[:, None].repeat(1, 40)
    knowing = replace(SETTING, dna=dna, classifier=recipe_named("fast"))
    found = score_fold(knowing, FOLD, 0, tmp_path / "one.safetensors")
    right = (found.classifier >= 0.5) == PROTEINS.labels[TEST]
    assert right.all()
    assert np.array_equal(found.head, scores.head)
