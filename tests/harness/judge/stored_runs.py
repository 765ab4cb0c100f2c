"""Runs in folders, their candidate's predictions on disk, made up so that rates can be counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from harness import judge, provenance
from harness.judge.predictions import Examples, Predictions
from harness.results import Comparison, write_comparison
from harness.spec import ArmName
from tests.harness.example_run import comparison

GROUPS = 30
ROWS = 600
"""Rows of each class; 20 a group."""


def predictions(
    *,
    missed: int = 0,
    first_missed: int = 0,
    seeds: tuple[int, ...] = (0, 1),
    shift: int = 0,
    groups: int = GROUPS,
) -> Predictions:
    """Return predictions that miss so many viral rows, spread evenly over the groups.

    Those missed follow each other from the viral row ``first_missed`` on. ``shift`` moves every row
    into another fold.
    """
    words = ("host", "viral")
    names = [f"{word}{row}" for word in words for row in range(ROWS)]
    owners = [f"{word}-{row % groups}" for word in words for row in range(ROWS)]
    labels = np.repeat(np.array([0, 1], dtype=np.int64), ROWS)
    right = np.where(labels == 1, 0.9, 0.1).astype(np.float32)
    right[ROWS + first_missed : ROWS + first_missed + missed] = 0.2
    folds = (np.arange(2 * ROWS) % groups + shift) % 3
    return Predictions(
        examples=Examples(tuple(names), tuple(names), tuple(owners), labels),
        seeds=seeds,
        folds=np.stack([folds] * len(seeds)),
        probabilities=np.stack([right] * len(seeds)),
    )


def stored_run(folder: Path, made: Predictions | None = None, name: str = "") -> Comparison:
    """Write a run into a new folder and return it."""
    (folder / "predictions").mkdir(parents=True)
    file = folder / "predictions" / "d-candidate.csv"
    judge.write_predictions(file, made or predictions())
    results = judge.summarise(
        judge.read_predictions(file),
        arm=ArmName.CANDIDATE,
        dataset="d",
        file=file.relative_to(folder).as_posix(),
        sha256=provenance.sha256(file),
    )
    run = replace(comparison(), run=name or folder.name, classification=results)
    write_comparison(run, folder)
    return run
