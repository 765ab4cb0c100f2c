"""The rows of a data set: what is known of each, the groups it is in, and their CSV form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from embedders.errors import InputError
from harness import cells
from harness.files import write_atomically
from harness.judge.grouping import components
from harness.judge.predictions import CLASSES
from harness.judge.splits import SplitError
from harness.spec import GroupSource

COLUMNS = (
    "id",
    "contig",
    "label",
    "given_group",
    "homology_cluster",
    "component",
    "residues",
    "frame",
)
"""Columns of the CSV, one line per row; ``label`` is a word, ``frame`` is empty for a protein."""

LENGTHS = (60, 120, 180, 400)
"""Most residues of each stratum of lengths but the last."""

NO_FRAME = "no frame"
"""Stratum of a row whose id is no frame id, beside rows whose ids are."""


@dataclass(frozen=True, slots=True)
class Rows:
    """What is known of each row, each column ``(n,)`` and in the order of ``ids``.

    ``contigs``: what a frame was cut from, or the id itself. ``labels``: ``host`` or ``viral``.
    ``groups``: as the table of labels gives them. ``clusters``: of homologous proteins; empty where
    nothing was searched. ``components``: what is never parted. ``residues``: length of the cleaned
    protein. ``frames``: ``F1`` to ``R3``; empty where the id is no frame id.

    Raises
    ------
    InputError
        If there is no row, the columns differ in length, an id comes twice, or a label is another
        word.
    """

    ids: tuple[str, ...]
    contigs: tuple[str, ...]
    labels: tuple[str, ...]
    groups: tuple[str, ...]
    clusters: tuple[str, ...]
    components: tuple[str, ...]
    residues: tuple[int, ...]
    frames: tuple[str, ...]

    def __post_init__(self) -> None:
        lengths = {len(getattr(self, each.name)) for each in fields(self)}
        if lengths != {len(self.ids)} or not self.ids:
            raise InputError(f"columns of {sorted(lengths)} rows; as many of each, and at least 1")
        if len(set(self.ids)) != len(self.ids):
            raise InputError("an id comes twice; ids must be unique")
        unknown = set(self.labels) - set(CLASSES)
        if unknown:
            raise InputError(f"the label {min(unknown)!r}; expected host or viral")

    def __len__(self) -> int:
        return len(self.ids)

    def places(self, ids: Sequence[str]) -> list[int]:
        """Return the row of each id.

        Raises
        ------
        InputError
            If one is not known.
        """
        row_of = {each: row for row, each in enumerate(self.ids)}
        missing = [each for each in ids if each not in row_of]
        if missing:
            raise InputError(
                f"{len(missing)} id(s) are not among the rows that were grouped, first "
                f"{missing[0]!r}; group the data set again from its own FASTA file and labels"
            )
        return [row_of[each] for each in ids]


def joined(
    groups: Sequence[str],
    contigs: Sequence[str],
    clusters: Sequence[str],
    sources: Sequence[GroupSource],
) -> tuple[str, ...]:
    """Return the component of each row: whatever ``sources`` list is joined.

    A component has the name of its smallest given group where the column counts, else of its
    smallest contig or cluster.

    Raises
    ------
    SplitError
        If a contig would be parted.
    """
    known = {
        GroupSource.COLUMN: groups,
        GroupSource.ACCESSION: contigs,
        GroupSource.HOMOLOGY: clusters,
    }
    names = components([known[source] for source in known if source in sources])
    first: dict[str, str] = {}
    for contig, name in zip(contigs, names, strict=True):
        if first.setdefault(contig, name) != name:
            raise SplitError(
                f"frames of contig {contig!r} would be in groups {first[contig]!r} and {name!r}, "
                "and a contig is judged as one; add 'accession' to splits.groups"
            )
    return names


def strata(rows: Rows, ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the stratum of each id, by kind of stratum.

    ``length`` of the protein in residues; ``frame``, left out where no id is a frame id; ``group``
    as given.

    Raises
    ------
    InputError
        If an id is not among the rows.
    """
    places = rows.places(ids)
    found = {
        "length": tuple(length_stratum(rows.residues[row]) for row in places),
        "group": tuple(rows.groups[row] for row in places),
    }
    if any(rows.frames[row] for row in places):
        found["frame"] = tuple(rows.frames[row] or NO_FRAME for row in places)
    return found


def length_stratum(residues: int) -> str:
    """Return the name of the stratum of a length.

    Examples
    --------
    >>> [length_stratum(each) for each in (60, 61, 401)]
    ['1-60', '61-120', 'over 400']
    """
    place = int(np.searchsorted(LENGTHS, residues))
    if place == len(LENGTHS):
        return f"over {LENGTHS[-1]}"
    return f"{LENGTHS[place - 1] + 1 if place else 1}-{LENGTHS[place]}"


def write_rows(path: Path, rows: Rows) -> None:
    """Write one CSV line per row, in the order of their ids; text is guarded.

    Raises
    ------
    OSError
        If the disk refuses.
    """
    columns = [getattr(rows, each.name) for each in fields(rows)]
    lines = sorted(zip(*columns, strict=True))

    def write(partial: Path) -> None:
        with partial.open("w", encoding="utf-8", newline="") as stream:
            stream.write(cells.line(COLUMNS))
            stream.writelines(map(cells.line, lines))

    write_atomically(path, write)


def read_rows(path: Path) -> Rows:
    """Read what :func:`write_rows` wrote; from it alone strata and folds can be made again.

    Raises
    ------
    InputError
        If the file cannot be read, its columns are others, or its rows are not such rows.
    """
    import pandas as pd  # noqa: PLC0415  heavy, and only reading needs it

    try:
        # an id may be "NA" or "null": no word stands for a missing value
        table = pd.read_csv(path, keep_default_na=False, dtype=str)
        table["residues"] = table["residues"].astype(np.int64)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path} is not a table of rows and their groups: {error}") from error
    if tuple(table.columns) != COLUMNS:
        raise InputError(f"{path} has the columns {list(table.columns)}, expected {list(COLUMNS)}")
    text = {name: tuple(cells.unguard(str(cell)) for cell in table[name]) for name in COLUMNS}
    try:
        return Rows(
            ids=text["id"],
            contigs=text["contig"],
            labels=text["label"],
            groups=text["given_group"],
            clusters=text["homology_cluster"],
            components=text["component"],
            residues=tuple(int(each) for each in table["residues"]),
            frames=text["frame"],
        )
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
