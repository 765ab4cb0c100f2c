"""The published pipeline's way, written down: what it delivers, how it stops, what it learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.original_pipeline import (
    Evaluation,
    OriginalTraining,
    WholeFiles,
    evaluate,
    loader,
)
from harness.features import Kind, Shard, write_shard


def files(folder: Path, sizes: tuple[int, ...] = (5, 1, 7), shift: float = 0.0) -> list[Path]:
    """Files of one class each, host and viral in turn; each row begins with its number."""
    paths, first = [], 0
    for number, size in enumerate(sizes):
        matrix = torch.randn(size, 4, generator=torch.Generator().manual_seed(number))
        matrix[:, 1] += shift * (number % 2)
        matrix[:, 0] = torch.arange(first, first + size)
        ids = tuple(f"{number}-{row}" for row in range(size))
        labels = np.full(size, number % 2, dtype=np.int64)
        paths.append(folder / f"{number}.pt")
        write_shard(paths[-1], Shard(Kind.MERGED, ids, matrix, labels))
        first += size
    return paths


def test_row_is_found_in_its_file_with_the_label_of_the_file(tmp_path: Path) -> None:
    whole = WholeFiles(files(tmp_path))
    assert len(whole) == 13
    assert [int(whole[row][0][0]) for row in range(13)] == list(range(13))
    assert [int(whole[row][1]) for row in range(13)] == [0] * 5 + [1] + [0] * 7
    with pytest.raises(IndexError):
        whole[13]


def test_loader_delivers_each_row_once_in_batches_of_32(tmp_path: Path) -> None:
    whole = WholeFiles(files(tmp_path, (50, 50)))
    batches = list(loader(whole, range(100), shuffle=True))
    assert [len(labels) for _, labels in batches] == [32, 32, 32, 4]
    firsts = torch.cat([rows[:, 0] for rows, _ in batches])
    assert sorted(firsts.tolist()) == list(range(100))


def test_files_without_labels_are_refused(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.pt", Shard(Kind.MERGED, ("a",), torch.zeros(1, 2)))
    with pytest.raises(ValueError, match="carries no labels"):
        WholeFiles([tmp_path / "a.pt"])


def test_training_ends_after_five_epochs_that_bring_no_lower_loss(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    losses = iter([3.0, 2.0, 2.0, 2.5, 1.0, 1.1, 1.2, 1.0, 1.3, 1.4, 0.5])
    training = OriginalTraining(4, seed=0)
    monkeypatch.setattr(OriginalTraining, "epoch", lambda *_: 0.0)
    monkeypatch.setattr(
        "benchmarks.original_pipeline.evaluate", lambda *_: Evaluation(next(losses), 0.5, 0.5)
    )
    # StepLR warns where no step came before it; what is tested is when training ends
    monkeypatch.setattr(training._schedule, "step", lambda: None)
    assert len(training.fit([], [])) == 10  # type: ignore[arg-type]


def test_separable_classes_are_learnt(tmp_path: Path) -> None:
    whole = WholeFiles(files(tmp_path, (200, 200), shift=8.0))
    for data in whole._data:
        data[:, 0] = 0
    training = OriginalTraining(4, seed=0)
    for _ in range(30):
        training.epoch(loader(whole, range(400), shuffle=True))
    assert evaluate(training.model, loader(whole, range(400), shuffle=False)).accuracy > 0.95
