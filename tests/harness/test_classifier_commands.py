"""``train`` and ``predict`` leave the vectors of many files where they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import classifier
from harness import features
from harness.classifier_commands import stored_rows
from harness.cli import main


@pytest.fixture
def merged(tmp_path: Path) -> list[str]:
    """A folder of each class, of the original pipeline's files, two frames to a contig."""
    folders = []
    for label, name in enumerate(("host", "viral")):
        folder = tmp_path / name
        folder.mkdir()
        for number in range(2):
            generator = torch.Generator().manual_seed(2 * label + number)
            rows = torch.randn(60, 8, generator=generator) + 2 * label
            ids = tuple(f"{name}{number}-{row // 2}_chunk_1F{1 + row % 2}" for row in range(60))
            labels = np.full(60, label, dtype=np.int64)
            shard = features.Shard(features.Kind.MERGED, ids, rows, labels)
            features.write_shard(folder / f"{number}.pt", shard)
        folders.append(str(folder))
    return folders


def watched(name: str, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, dict[str, Any]]]:
    calls: list[tuple[Any, dict[str, Any]]] = []
    real = getattr(classifier, name)

    def call(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401  whatever is called
        calls.append((arguments, options))
        return real(*arguments, **options)

    monkeypatch.setattr(classifier, name, call)
    return calls


def test_rows_are_read_from_the_files_by_training_and_prediction(
    merged: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainings, predictions = watched("train", monkeypatch), watched("predict", monkeypatch)
    model, scores = str(tmp_path / "model"), tmp_path / "scores.csv"
    assert main(["train", *merged, "-o", model]) == 0
    assert main(["predict", model, *merged, "-o", str(scores)]) == 0
    (blocks, *_), _ = trainings[0]
    assert all(isinstance(block, classifier.StoredRows) for block in blocks)
    assert predictions[0][0][1] == blocks
    assert len(scores.read_text("utf-8").splitlines()) == 1 + 240
    assert len(scores.with_suffix(".contigs.csv").read_text("utf-8").splitlines()) == 1 + 120


def test_vectors_whose_place_is_not_known_are_taken_as_they_were_loaded() -> None:
    shard = features.Shard(features.Kind.MERGED, ("a",), torch.ones(1, 2))
    assert stored_rows(shard) is shard.matrix


@pytest.mark.parametrize(
    ("options", "threads"),
    [
        ([], 1),
        (["--recipe", "original"], 1),
        (["--recipe", "large"], 3),
        (["--recipe", "large", "--threads", "2"], 2),
        (["--threads", "2"], 2),
    ],
)
def test_only_the_recipe_for_many_rows_takes_all_cores_unless_asked(
    merged: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    threads: int,
) -> None:
    trainings = watched("train", monkeypatch)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    monkeypatch.setattr(classifier, "recipe_named", lambda name: _short(classifier.RECIPES[name]))
    assert main(["train", *merged, "-o", str(tmp_path / "model"), *options]) == 0
    assert trainings[0][1]["threads"] == threads


def _short(recipe: classifier.Recipe) -> classifier.Recipe:
    return replace(recipe, max_epochs=1)


def test_threads_below_one_are_refused(
    merged: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["train", *merged, "-o", str(tmp_path / "model"), "--threads", "0"])
    assert stopped.value.code == 2
    assert "--threads" in capsys.readouterr().err
