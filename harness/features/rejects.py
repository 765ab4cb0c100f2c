"""``rejects.csv``: the records that were left out, and why."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.features.errors import FolderError
from harness.files import write_text_atomically

REJECTS_FILE = "rejects.csv"
COLUMNS = ("id", "position", "reason")


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that was left out: its id, its number in the file from 1, and why."""

    id: str
    position: int
    reason: str


def write_rejects(folder: Path, rejects: Sequence[Reject]) -> None:
    """Write ``rejects.csv``, with its title line alone where nothing was rejected."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows((reject.id, reject.position, reject.reason) for reject in rejects)
    write_text_atomically(folder / REJECTS_FILE, text.getvalue())


def read_rejects(folder: Path) -> tuple[Reject, ...]:
    """Read ``rejects.csv`` of a folder.

    Raises
    ------
    FolderError
        If there is none, or it is malformed.
    """
    path = folder / REJECTS_FILE
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file, strict=True))
        if not rows or tuple(rows[0]) != COLUMNS:
            raise ValueError(f"its columns must be {','.join(COLUMNS)}")
        return tuple(Reject(each, int(position), reason) for each, position, reason in rows[1:])
    except OSError as error:
        raise FolderError(f"{path}: cannot be read ({error.strerror})") from error
    except (csv.Error, ValueError) as error:
        raise FolderError(f"{path}: malformed ({error}); embed again") from error
