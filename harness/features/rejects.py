"""The records that were left out, and why: one list for each window, one for the folder."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import cells
from harness.features.errors import FolderError
from harness.files import write_atomically, write_text_atomically

REJECTS_FILE = "rejects.csv"
COLUMNS = ("id", "position", "reason")


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that was left out: its id, its number in the file from 1, and why."""

    id: str
    position: int
    reason: str


def write_rejects(path: Path, rejects: Sequence[Reject]) -> None:
    """Write a list as CSV with a title line, whole or not at all.

    A text that a spreadsheet would run is written so that it does not (:mod:`harness.cells`).
    """
    lines = [",".join(COLUMNS) + "\n"]
    lines += [cells.line((each.id, each.position, each.reason)) for each in rejects]
    write_text_atomically(path, "".join(lines))


def join_rejects(folder: Path, parts: Iterable[Path]) -> None:
    """Write the folder's ``rejects.csv`` from the lists of its windows, one in memory at a time."""

    def write(partial: Path) -> None:
        with partial.open("wb") as whole:
            whole.write((",".join(COLUMNS) + "\n").encode("ascii"))
            for part in parts:
                with part.open("rb") as file:
                    file.readline()  # its title line
                    shutil.copyfileobj(file, whole)

    write_atomically(folder / REJECTS_FILE, write)


def read_rejects(path: Path) -> tuple[Reject, ...]:
    """Read a list of rejects, or that of a folder.

    Raises
    ------
    FolderError
        If there is none, or it is malformed.
    """
    path = path / REJECTS_FILE if path.is_dir() else path
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file, strict=True))
        if not rows or tuple(rows[0]) != COLUMNS:
            raise ValueError(f"its columns must be {','.join(COLUMNS)}")
        return tuple(
            Reject(cells.unguard(name), int(position), cells.unguard(reason))
            for name, position, reason in rows[1:]
        )
    except OSError as error:
        raise FolderError(f"{path}: cannot be read ({error.strerror})") from error
    except (csv.Error, ValueError) as error:
        raise FolderError(f"{path}: malformed ({error}); embed again") from error
