"""The table of a data set: which id is viral, which is host, and which group it belongs to."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.features.errors import LabelsError, list_ids

CLASSES = {"host": 0, "viral": 1}
REQUIRED_COLUMNS = ("id", "label", "group")


@dataclass(frozen=True, slots=True)
class Labels:
    """One row per id: its label, its group, and the other columns as they were written.

    ``labels``: int64 ``(n,)``, 0 host and 1 viral; ``groups``: the unit that is never split between
    training and test, e.g. a genome; ``columns``: every other column, each of ``n`` texts.
    """

    ids: tuple[str, ...]
    labels: NDArray[np.int64]
    groups: tuple[str, ...]
    columns: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rows = len(self.ids)
        lengths = {len(self.groups), *(len(column) for column in self.columns.values()), rows}
        if lengths != {rows} or self.labels.shape != (rows,):
            raise LabelsError(f"{rows} ids, but columns of {sorted(lengths)} rows")
        repeated = [each for each, count in Counter(self.ids).items() if count > 1]
        if repeated:
            raise LabelsError(f"ids that come more than once, {list_ids(repeated)}")

    def column(self, name: str) -> tuple[str, ...]:
        """Return a column that names a group of each row, ``group`` or another.

        Raises
        ------
        LabelsError
            If there is none of that name, or a cell of it is empty.
        """
        if name == "group":
            return self.groups
        if name not in self.columns:
            known = ", ".join(["group", *self.columns])
            raise LabelsError(
                f"no column {name!r} in the table of labels; set splits.column to one of: {known}"
            )
        column = self.columns[name]
        empty = [each for each, cell in zip(self.ids, column, strict=True) if not cell]
        if empty:
            raise LabelsError(
                f"column {name!r} is empty for ids {list_ids(empty)}; name a group for each row"
            )
        return column

    def take(self, ids: Sequence[str]) -> Labels:
        """Return the rows of ``ids``, in their order; all of them are known."""
        row_of = {each: row for row, each in enumerate(self.ids)}
        rows = [row_of[each] for each in ids]
        return Labels(
            tuple(ids),
            self.labels[rows],
            tuple(self.groups[row] for row in rows),
            {name: tuple(column[row] for row in rows) for name, column in self.columns.items()},
        )


def read_labels(path: Path) -> Labels:
    """Read a CSV file with the columns ``id``, ``label`` (``viral`` or ``host``) and ``group``.

    Raises
    ------
    LabelsError
        If the file is missing, a column is missing or named twice, a row has another number of
        cells, a cell of the three columns is empty, a label is another word, or an id comes twice.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.reader(file, strict=True)
            header = next(table, [])
            _check_header(path, header)
            rows = []
            for row in table:
                if row:  # a blank line at the end is no row
                    _check_row(path, table.line_num, header, row)
                    rows.append(row)
    except OSError as error:
        raise LabelsError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise LabelsError(f"{path}: not a CSV file in UTF-8 ({error})") from error
    if not rows:
        raise LabelsError(f"{path}: has no rows; give one per sequence")
    columns = dict(zip(header, zip(*rows, strict=True), strict=True))
    ids, words, groups = (columns.pop(name) for name in REQUIRED_COLUMNS)
    labels = np.array([CLASSES[word] for word in words], dtype=np.int64)
    try:
        return Labels(ids, labels, groups, columns)
    except LabelsError as error:
        raise LabelsError(f"{path}: {error}; keep one row per id") from error


def join_labels(ids: Sequence[str], labels: Labels, *, rejected: Collection[str] = ()) -> Labels:
    """Return the labels of features' ``ids``, in their order.

    Parameters
    ----------
    ids
        Ids of the features.
    labels
        The table; it must have exactly these ids, and may have ``rejected`` ones beside.
    rejected
        Ids that are known to have no features, e.g. those of ``rejects.csv``.

    Raises
    ------
    LabelsError
        If an id is missing, has no features, or comes twice; the message lists them.
    """
    known = set(labels.ids)
    wanted = set(ids)
    problems = []
    if len(wanted) != len(ids):
        repeated = [each for each, count in Counter(ids).items() if count > 1]
        problems.append(f"ids that come more than once in the features, {list_ids(repeated)}")
    missing = [each for each in dict.fromkeys(ids) if each not in known]
    if missing:
        problems.append(f"ids without a label, {list_ids(missing)}")
    left_out = wanted.union(rejected)
    extra = [each for each in labels.ids if each not in left_out]
    if extra:
        problems.append(f"labels without features, {list_ids(extra)}")
    if problems:
        raise LabelsError(
            "; ".join(problems) + "; the table of labels and the FASTA file must have the same ids"
        )
    return labels.take(ids)


def _check_header(path: Path, header: list[str]) -> None:
    missing = [name for name in REQUIRED_COLUMNS if name not in header]
    if missing:
        raise LabelsError(
            f"{path}: no column {' or '.join(map(repr, missing))} among {header}; the first line "
            "must name id, label and group"
        )
    if len(set(header)) != len(header):
        raise LabelsError(f"{path}: a column is named twice in {header}")


def _check_row(path: Path, line: int, header: list[str], row: list[str]) -> None:
    where = f"{path}, line {line}"
    if len(row) != len(header):
        raise LabelsError(f"{where}: {len(row)} cells where the first line names {len(header)}")
    cells = dict(zip(header, row, strict=True))
    empty = [name for name in REQUIRED_COLUMNS if not cells[name]]
    if empty:
        raise LabelsError(f"{where}: column {empty[0]!r} is empty")
    if cells["label"] not in CLASSES:
        raise LabelsError(
            f"{where} ({cells['id']!r}): label {cells['label']!r} must be 'viral' or 'host'"
        )
