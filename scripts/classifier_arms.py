"""What each process of ``scripts.measure_classifier`` does: one command, or one measurement."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import classifier
from benchmarks.original_pipeline import (
    BATCH_ROWS,
    OriginalTraining,
    WholeFiles,
    evaluate,
    loader,
)
from classifier.blocks import Blocks, LabelledRows
from classifier.feeding import Feed
from harness import cli, features, measure
from harness.classifier_commands import stored_rows
from scripts.synthetic_features import BEST_ACCURACY

RECIPE = "large"
ORIGINAL_ROWS = 100_000
"""Of the original's shuffled epoch that are timed; its time for a row does not depend on when."""
ROUNDS = 4
WARM_UP_ROWS = 2048

Figures = dict[str, Any]


def main() -> int:
    """Do what the first argument names with the others; print figures as the last line."""
    jobs: dict[str, Callable[[Sequence[str]], Figures]] = {
        "command": command,
        "rate": rate,
        "contest": contest,
        "finish": finish,
    }
    print(json.dumps(jobs[sys.argv[1]](sys.argv[2:])))
    return 0


def command(arguments: Sequence[str]) -> Figures:
    """Run one command of the harness in this process."""
    before = measure.host_peak_rss_bytes()
    started = time.perf_counter()
    if cli.main(arguments) != 0:
        raise SystemExit(f"harness {' '.join(arguments)}: failed")
    return {
        "seconds": time.perf_counter() - started,
        "peak_rss_bytes": measure.host_peak_rss_bytes(),
        "rss_before_bytes": before,
    }


def rate(arguments: Sequence[str]) -> Figures:
    """Time whole trainings; the first of a few hundred rows warms up and is not counted."""
    rows = Opened(arguments)
    rows.warm_up()
    seconds: list[float] = []
    row_epochs = 0
    # small trainings are repeated, so that their time can be told from the clock's noise
    for _ in range(max(1, min(9, 300_000 // len(rows.labels)))):
        started = time.perf_counter()
        trained = rows.train()
        seconds.append(time.perf_counter() - started)
        row_epochs = trained.rows_trained * len(trained.history)
    return {
        "seconds": seconds,
        "row_epochs": row_epochs,
        "microseconds_per_row_epoch": 1e6 * median(seconds) / row_epochs,
        "threads": torch.get_num_threads(),
        "peak_rss_bytes": measure.host_peak_rss_bytes(),
    }


def contest(arguments: Sequence[str]) -> Figures:
    """Time feeding alone, and training, of both ways in turn in this process."""
    ours = Opened(arguments)
    whole = WholeFiles(ours.files)
    loaded = measure.host_peak_rss_bytes()
    count = len(whole)
    recipe = classifier.recipe_named(RECIPE)
    feed = Feed(
        LabelledRows(Blocks(ours.blocks), ours.labels, np.arange(count)),
        batch_size=recipe.batch_size,
        shuffle=True,
    )
    batches = min(ORIGINAL_ROWS, count) // BATCH_ROWS
    torch.manual_seed(0)
    original = OriginalTraining(ours.width, seed=0)

    def first() -> Iterator[object]:
        return islice(loader(whole, range(count), shuffle=True), batches)

    arms: dict[str, tuple[Callable[[], object], int]] = {
        "original, feeding alone": (lambda: _exhaust(first()), batches * BATCH_ROWS),
        "ours, feeding alone": (lambda: _exhaust(feed), count),
        "original, training": (lambda: original.epoch(first()), batches * BATCH_ROWS),
        "ours, training": (lambda: ours.train(max_epochs=1), count),
    }
    seconds = _in_turn({name: work for name, (work, _) in arms.items()})
    per_row = {name: [each / arms[name][1] for each in seconds[name]] for name in arms}
    ratios = {
        what: asdict(
            measure.summarise_pairs(
                list(zip(per_row[f"original, {what}"], per_row[f"ours, {what}"], strict=True))
            )
        )
        for what in ("feeding alone", "training")
    }
    return {
        "rows": count,
        "files": len(ours.files),
        "seconds": seconds,
        "rows_timed": {name: rows for name, (_, rows) in arms.items()},
        "rows_per_s": {name: 1 / median(each) for name, each in per_row.items()},
        "ratios": ratios,
        "rss_with_whole_files_bytes": loaded,
    }


def finish(arguments: Sequence[str]) -> Figures:
    """Train both ways to their end: a seed, the folders to learn from, and two to score."""
    seed, *folders, host, viral = arguments
    ours, test = Opened(folders), Opened([host, viral])
    ours.warm_up()
    started = time.perf_counter()
    trained = ours.train(seed=int(seed))
    ours_s = time.perf_counter() - started
    scores = classifier.predict(trained, test.blocks)
    started = time.perf_counter()
    whole = WholeFiles(ours.files)
    order = np.random.default_rng(int(seed)).permutation(len(whole)).tolist()
    cut = len(order) // 10
    original = OriginalTraining(ours.width, seed=int(seed))
    epochs = original.fit(
        loader(whole, order[cut:], shuffle=True), loader(whole, order[:cut], shuffle=False)
    )
    original_s = time.perf_counter() - started
    tested = WholeFiles(test.files)
    score = evaluate(original.model, loader(tested, range(len(tested)), shuffle=False))
    return {
        "seed": int(seed),
        "rows": len(ours.labels),
        "test_rows": len(test.labels),
        "best_possible_accuracy": BEST_ACCURACY,
        "ours": {
            "seconds": ours_s,
            "epochs": len(trained.history),
            "accuracy": float(np.mean((scores >= 0.5) == test.labels)),
        },
        "original": {
            "seconds": original_s,
            "epochs": len(epochs),
            "accuracy": score.accuracy,
        },
    }


class Opened:
    """Merged folders as ``harness train`` opens them."""

    def __init__(self, folders: Sequence[str]) -> None:
        shards = features.merged_blocks([Path(each) for each in folders], verify=False)
        self.blocks = [stored_rows(shard) for shard in shards]
        self.files = [shard.place.path for shard in shards if shard.place is not None]
        self.labels = features.block_labels(shards)
        self.groups = [features.contig_of(each) for shard in shards for each in shard.ids]
        self.width = shards[0].width

    def train(
        self,
        *,
        seed: int = 0,
        max_epochs: int | None = None,
        rows: NDArray[np.int64] | None = None,
    ) -> classifier.TrainedClassifier:
        """Train by the recipe, or for fewer epochs, on all cores."""
        recipe = classifier.recipe_named(RECIPE)
        return classifier.train(
            self.blocks,
            self.labels,
            self.groups,
            recipe=replace(recipe, max_epochs=max_epochs or recipe.max_epochs),
            seed=seed,
            rows=rows,
            threads=torch.get_num_threads(),
        )

    def warm_up(self) -> None:
        """Train on few rows, so that libraries are loaded and kernels made."""
        step = max(1, len(self.labels) // WARM_UP_ROWS)
        self.train(max_epochs=1, rows=np.arange(0, len(self.labels), step))


def _in_turn(arms: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Time arms in turn, their order reversed every other round; the first round is a warm-up."""
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    for number in range(ROUNDS + 1):
        for name in list(arms)[:: 1 if number % 2 else -1]:
            started = time.perf_counter()
            arms[name]()
            if number:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def _exhaust(batches: Iterable[object]) -> None:
    for _ in batches:
        pass


if __name__ == "__main__":
    sys.exit(main())
