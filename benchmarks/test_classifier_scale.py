"""Feeding and training the classifier from shards, in turn with the published pipeline's way."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from pytest_benchmark.fixture import BenchmarkFixture

import classifier
from benchmarks.original_pipeline import OriginalTraining, WholeFiles, loader
from classifier.blocks import Blocks, LabelledRows
from classifier.feeding import Feed
from harness import features, measure
from harness.classifier_commands import stored_rows
from harness.costs import Contest

FILES, ROWS, WIDTH = 100, 100, 1664
"""As many files as a million rows have there, each a hundredth as long: the search through them for
every row is as long as it is with a million."""
ROUNDS = 4


def test_classifier_is_fed_and_trained_from_shards(
    tmp_path: Path, benchmark: BenchmarkFixture
) -> None:
    shards = [features.read_shard(path) for path in _write(tmp_path)]
    blocks = [stored_rows(shard) for shard in shards]
    count = FILES * ROWS
    labels = np.repeat([0, 1], count // 2)
    whole = WholeFiles([shard.place.path for shard in shards if shard.place is not None])
    training = OriginalTraining(WIDTH, seed=0)
    feed = Feed(
        LabelledRows(Blocks(blocks), labels, np.arange(count)), batch_size=1024, shuffle=True
    )

    def original() -> Iterable[tuple[torch.Tensor, torch.Tensor]]:
        return loader(whole, range(count), shuffle=True)

    def train() -> object:
        return classifier.train(
            blocks,
            labels,
            [str(row // 10) for row in range(count)],
            recipe=classifier.recipe_named("large"),
            seed=0,
            threads=torch.get_num_threads(),
        )

    arms: dict[str, Callable[[int], object]] = {
        "original, fed": lambda _: _seen(original()),
        "ours, fed": lambda _: _seen(feed),
        "original, an epoch": lambda _: training.epoch(original()),
        "ours, all epochs": lambda _: train(),
    }
    assert _seen(feed) == _seen(original())

    def contend() -> Contest:
        return measure.interleave(arms, rounds=ROUNDS, device="cpu", max_warmup_rounds=1)

    contest = benchmark.pedantic(contend, rounds=1)  # type: ignore[no-untyped-call]
    ratios = {
        slow.partition(",")[2].strip(): asdict(measure.speedup_in(contest, slow, fast))
        for slow, fast in list(pairwise(arms))[::2]
    }
    assert all(ratio["ratio"] > 0 for ratio in ratios.values())
    benchmark.extra_info.update(rows=count, files=FILES, seconds=dict(contest.seconds))
    benchmark.extra_info["original's seconds over ours"] = ratios


def _write(folder: Path) -> list[Path]:
    generator = torch.Generator().manual_seed(0)
    paths = [folder / f"{number:03d}.pt" for number in range(FILES)]
    for number, path in enumerate(paths):
        ids = tuple(f"{number}-{row}" for row in range(ROWS))
        labels = np.full(ROWS, int(number >= FILES // 2), dtype=np.int64)
        rows = torch.randn(ROWS, WIDTH, generator=generator)
        features.write_shard(path, features.Shard(features.Kind.MERGED, ids, rows, labels))
    return paths


def _seen(batches: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> tuple[int, int, str]:
    """Count rows and viral ones, and sum the first column exactly enough to tell rows apart."""
    rows, viral, total = 0, 0, 0.0
    for matrix, labels in batches:
        rows += len(labels)
        viral += int(labels.sum())
        total += float(matrix[:, 0].double().sum())
    return rows, viral, f"{total:.6f}"
