"""Labelled rows, the out-of-fold probabilities they got, and their CSV form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embedders.errors import InputError
from harness import cells
from harness.files import write_atomically

CLASSES = ("host", "viral")
"""Word of label 0 and of label 1."""

COLUMNS = ("id", "contig", "group", "label", "seed", "fold", "probability")
"""Columns of the predictions' CSV, one line per row and seed; ``label`` is a word."""

GUARDED = ("id", "contig", "group")
"""Columns of text from outside, written so that no spreadsheet runs them."""


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """What is known of each row of features, in the order of the rows.

    ``contigs``: what a frame was cut from; a row that stands alone, e.g. a whole protein, names
    itself. ``groups``: genome, organism or cluster, never parted by a fold. ``labels``: int64
    ``(n,)``, 0 (host) or 1 (viral).

    Raises
    ------
    InputError
        If there is no row, the lengths differ, an id comes twice, a label is neither 0 nor 1, or
        one contig has two labels or two groups.
    """

    ids: tuple[str, ...]
    contigs: tuple[str, ...]
    groups: tuple[str, ...]
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        count = len(self.ids)
        if not count:
            raise InputError("no rows to judge")
        for name in ("contigs", "groups", "labels"):
            if len(getattr(self, name)) != count:
                raise InputError(f"{len(getattr(self, name))} {name} for {count} ids")
        seen: set[str] = set()
        for row in self.ids:
            if row in seen:
                raise InputError(f"id {row!r} comes twice; ids must be unique")
            seen.add(row)
        if not np.isin(self.labels, (0, 1)).all():
            raise InputError("a label must be 0 (host) or 1 (viral)")
        first: dict[str, tuple[str, int]] = {}
        for contig, group, label in zip(
            self.contigs, self.groups, self.labels.tolist(), strict=True
        ):
            if first.setdefault(contig, (group, label)) != (group, label):
                raise InputError(
                    f"contig {contig!r} has frames of different groups or labels: "
                    f"{first[contig]} and {(group, label)}"
                )

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """A probability for every row, once per seed, from a model that did not see its group.

    ``folds``: int64 ``(seeds, n)``, the fold whose test part the row was in. ``probabilities``:
    float32 ``(seeds, n)``, of viral. Column ``i`` of both belongs to row ``i`` of ``examples``.
    """

    examples: Examples
    seeds: tuple[int, ...]
    folds: NDArray[np.int64]
    probabilities: NDArray[np.float32]

    def __post_init__(self) -> None:
        shape = (len(self.seeds), len(self.examples))
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise InputError(f"seeds must be given and differ, not {self.seeds}")
        for name in ("folds", "probabilities"):
            if getattr(self, name).shape != shape:
                raise InputError(f"{name} of shape {getattr(self, name).shape}, not {shape}")
        if not ((self.probabilities >= 0) & (self.probabilities <= 1)).all():
            raise InputError("a probability must be between 0 and 1, and not NaN")


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write one CSV line per row and seed; ids, contigs and groups are guarded.

    Nine significant digits bring every float32 back exactly, so that each printed rate can be
    recomputed from the file.
    """

    def write(partial: Path) -> None:
        with partial.open("w", encoding="utf-8", newline="") as stream:
            stream.write(cells.line(COLUMNS))
            stream.writelines(map(cells.line, _table(predictions)))

    write_atomically(path, write)


def read_predictions(path: Path) -> Predictions:
    """Read what :func:`write_predictions` wrote.

    Raises
    ------
    InputError
        If the file cannot be read, a column is missing, a label is unknown, or the rows of one
        seed differ from those of another.
    """
    import pandas as pd  # noqa: PLC0415  heavy, and only reading needs it

    try:
        # an id may be "NA" or "null": no word stands for a missing value
        table = pd.read_csv(
            path,
            keep_default_na=False,
            dtype={
                **dict.fromkeys(("id", "contig", "group", "label"), str),
                "seed": np.int64,
                "fold": np.int64,
                "probability": np.float64,
            },
        )
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not a table of predictions: {error}") from error
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise InputError(f"{path} has no column {missing[0]!r}; expected {', '.join(COLUMNS)}")
    unknown = table.loc[~table["label"].isin(CLASSES), "label"]
    if len(unknown):
        raise InputError(f"{path} has the label {unknown.iloc[0]!r}; expected host or viral")
    for name in GUARDED:
        table[name] = table[name].map(cells.unguard)
    seeds = tuple(int(seed) for seed in dict.fromkeys(table["seed"]))
    parts = [table[table["seed"] == seed] for seed in seeds]
    if not parts:
        raise InputError(f"{path} holds no predictions")
    fixed = ["id", "contig", "group", "label"]
    for seed, part in zip(seeds, parts, strict=True):
        if not np.array_equal(part[fixed].to_numpy(), parts[0][fixed].to_numpy()):
            raise InputError(
                f"{path}: the rows of seed {seed} differ from those of seed {seeds[0]}; "
                f"every row must be predicted once per seed, in one order"
            )
    return Predictions(
        examples=Examples(
            ids=tuple(parts[0]["id"]),
            contigs=tuple(parts[0]["contig"]),
            groups=tuple(parts[0]["group"]),
            labels=parts[0]["label"].map(CLASSES.index).to_numpy(dtype=np.int64),
        ),
        seeds=seeds,
        folds=np.stack([part["fold"].to_numpy() for part in parts]),
        probabilities=np.stack([part["probability"].to_numpy(dtype=np.float32) for part in parts]),
    )


def _table(predictions: Predictions) -> Iterator[tuple[str | float, ...]]:
    examples = predictions.examples
    words = [CLASSES[label] for label in examples.labels]
    for number, seed in enumerate(predictions.seeds):
        folds = predictions.folds[number].tolist()
        rounded = [float(f"{value:.9g}") for value in predictions.probabilities[number].tolist()]
        for row in zip(
            examples.ids, examples.contigs, examples.groups, words, folds, rounded, strict=True
        ):
            yield (*row[:4], seed, *row[4:])
