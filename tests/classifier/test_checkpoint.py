"""A checkpoint comes back as it was, or not at all, and never meets another embedder's features."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from classifier import (
    RECIPES,
    CheckpointError,
    ClassifierError,
    FeatureLayout,
    FeaturePart,
    LayoutMismatch,
    TrainedClassifier,
    check_layout,
    load,
    predict,
    save,
    train,
)
from classifier.checkpoint import RECORD_NAME, TENSORS_NAME
from tests.classifier.conftest import Toy

DNA = FeaturePart("kmer-4", 4, "d" * 64)
LAYOUT = FeatureLayout((DNA, FeaturePart("esm2-3b", 8, "a" * 64)))
OTHER = FeatureLayout((DNA, FeaturePart("fastesm2-650", 4, "b" * 64)))
SAME_WIDTH = FeatureLayout((DNA, FeaturePart("fastesm2-650", 8, "b" * 64)))


def learn(toy: Toy, name: str) -> TrainedClassifier:
    recipe = replace(RECIPES[name], max_epochs=2)
    return train([toy.features], toy.labels, toy.groups, recipe=recipe, seed=5)


@pytest.fixture(scope="module")
def trained(toy: Toy) -> TrainedClassifier:
    return learn(toy, "fast")


@pytest.fixture
def folder(trained: TrainedClassifier, tmp_path: Path) -> Path:
    save(tmp_path / "model", trained, LAYOUT)
    return tmp_path / "model"


@pytest.mark.parametrize("name", RECIPES)
def test_round_trip_keeps_scores_record_and_layout(toy: Toy, name: str, tmp_path: Path) -> None:
    before = learn(toy, name)
    save(tmp_path, before, LAYOUT)
    after, layout = load(tmp_path)
    assert layout == LAYOUT
    assert np.array_equal(predict(after, [toy.features]), predict(before, [toy.features]))
    for field in ("recipe", "seed", "history", "best_epoch", "rows_trained", "rows_validated"):
        assert getattr(after, field) == getattr(before, field)


def test_same_training_gives_the_same_bytes(folder: Path, toy: Toy, tmp_path: Path) -> None:
    save(tmp_path / "again", learn(toy, "fast"), LAYOUT)
    for name in (TENSORS_NAME, RECORD_NAME):
        assert (folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_folder_holds_safetensors_and_strict_json_only(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [RECORD_NAME, TENSORS_NAME]

    def refuse(constant: str) -> float:
        raise AssertionError(constant)

    json.loads((folder / RECORD_NAME).read_text(), parse_constant=refuse)


def test_features_of_another_embedder_are_refused_naming_both() -> None:
    with pytest.raises(LayoutMismatch) as caught:
        check_layout(LAYOUT, OTHER)
    assert "esm2-3b (8) = 12 columns" in str(caught.value)
    assert "fastesm2-650 (4) = 8 columns" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_equal_width_of_another_embedder_is_refused_too() -> None:
    with pytest.raises(LayoutMismatch, match=r"esm2-3b.*fastesm2-650"):
        check_layout(LAYOUT, SAME_WIDTH)


def test_other_weights_of_the_same_embedder_are_refused_with_both_fingerprints() -> None:
    renewed = FeatureLayout((DNA, FeaturePart("esm2-3b", 8, "c" * 64)))
    with pytest.raises(LayoutMismatch, match=r"esm2-3b has fingerprint c{12}, not a{12}"):
        check_layout(LAYOUT, renewed)


def test_protein_first_is_refused() -> None:
    with pytest.raises(LayoutMismatch):
        check_layout(LAYOUT, FeatureLayout(LAYOUT.parts[::-1]))


def test_equal_layouts_pass() -> None:
    check_layout(LAYOUT, FeatureLayout(tuple(LAYOUT.parts)))


def test_saving_over_a_classifier_of_the_other_arm_is_refused(folder: Path, toy: Toy) -> None:
    recipe = replace(RECIPES["fast"], max_epochs=1)
    narrow = train([toy.features[:, :8]], toy.labels, toy.groups, recipe=recipe, seed=0)
    before = (folder / TENSORS_NAME).read_bytes()
    with pytest.raises(LayoutMismatch, match="fastesm2-650"):
        save(folder, narrow, OTHER)
    assert (folder / TENSORS_NAME).read_bytes() == before


def test_saving_again_with_the_same_layout_replaces(
    folder: Path, trained: TrainedClassifier
) -> None:
    save(folder, replace(trained, seed=9), LAYOUT)
    assert load(folder)[0].seed == 9


def test_a_layout_that_does_not_fit_the_network_is_not_saved(
    trained: TrainedClassifier, tmp_path: Path
) -> None:
    with pytest.raises(LayoutMismatch, match="12 wide"):
        save(tmp_path / "model", trained, OTHER)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("where", [0, 100, -1])
def test_a_flipped_bit_in_the_tensors_is_refused(folder: Path, where: int) -> None:
    content = bytearray((folder / TENSORS_NAME).read_bytes())
    content[where] ^= 1
    (folder / TENSORS_NAME).write_bytes(content)
    with pytest.raises(CheckpointError, match="SHA-256"):
        load(folder)


@pytest.mark.parametrize("name", [TENSORS_NAME, RECORD_NAME])
def test_a_missing_or_cut_file_is_refused(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError):
        load(folder)
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match="no classifier in"):
        load(folder)


def drop_layout(record: dict[str, Any]) -> None:
    del record["layout"]


def widen_layout(record: dict[str, Any]) -> None:
    record["layout"]["parts"][1]["width"] = 9


def add_key(record: dict[str, Any]) -> None:
    record["recipe"]["unheard_of"] = 1


def drop_standardisation(record: dict[str, Any]) -> None:
    record["recipe"]["standardise"] = False


def other_format(record: dict[str, Any]) -> None:
    record["format"] = "something else"


@pytest.mark.parametrize(
    "change", [drop_layout, widen_layout, add_key, drop_standardisation, other_format]
)
def test_a_record_that_does_not_fit_is_refused_in_one_line(
    folder: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    path = folder / RECORD_NAME
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))
    with pytest.raises(CheckpointError) as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def test_a_pickle_in_place_of_the_tensors_is_never_run(folder: Path) -> None:
    torch.save({"network.hidden.weight": torch.zeros(512, 12)}, folder / TENSORS_NAME)
    with pytest.raises(CheckpointError):
        load(folder)


def test_a_folder_that_cannot_be_written_is_a_plain_error(
    trained: TrainedClassifier, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot write"):
        save(tmp_path / "file", trained, LAYOUT)


def test_a_part_without_columns_and_a_layout_without_parts_are_refused() -> None:
    with pytest.raises(ClassifierError, match="at least 1"):
        FeaturePart("esm2-3b", 0, "")
    with pytest.raises(ClassifierError, match="at least one part"):
        FeatureLayout(())
