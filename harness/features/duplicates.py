"""Ids that come twice, however many ids there are.

SQLite keeps them in a private database without a name: in memory as far as its page cache of 2 MB
goes, beyond that in a file that is gone when the database is closed. It sorts on the disk too, so
memory does not grow with the ids.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass

from harness.features.errors import FolderError

# longer ids, which may have 16 MB each, are compared by their digest
LONGEST_COMPARED = 200

_ANY_REPEAT = "SELECT 1 FROM ids GROUP BY id HAVING count(*) > 1 LIMIT 1"
_FIRST_REPEAT = """
    SELECT previous, number FROM (
        SELECT rowid AS number, lag(rowid) OVER (PARTITION BY id ORDER BY rowid) AS previous
        FROM ids
    ) WHERE previous IS NOT NULL ORDER BY number LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Repeat:
    """The two places of an id that comes twice, counted from 1."""

    first: int
    second: int


def first_repeat(ids: Iterable[str]) -> Repeat | None:
    """Return where an id came that had come before, the first such place; None if all differ.

    Takes one pass over the ids, and disk space of about twice their size where they are many.

    Parameters
    ----------
    ids
        Words of ASCII, without line ends.

    Raises
    ------
    FolderError
        If that space runs out.

    Examples
    --------
    >>> first_repeat(["a", "b", "b", "a"])
    Repeat(first=2, second=3)
    """
    try:
        # the empty name asks for a private database; without isolation level, no hidden transaction
        with closing(sqlite3.connect("", isolation_level=None)) as database:
            database.execute("PRAGMA temp_store = FILE")
            database.execute("PRAGMA journal_mode = OFF")  # nothing is ever rolled back
            database.execute("CREATE TABLE ids (id TEXT)")  # its rowid counts from 1
            database.execute("BEGIN")
            database.executemany("INSERT INTO ids VALUES (?)", ((_key(each),) for each in ids))
            if database.execute(_ANY_REPEAT).fetchone() is None:
                return None
            return Repeat(*database.execute(_FIRST_REPEAT).fetchone())
    except sqlite3.OperationalError as error:
        raise FolderError(
            f"the folder for temporary files cannot hold the ids that are compared ({error}); "
            "free space there, or let the variable SQLITE_TMPDIR name a folder that has more"
        ) from error


def _key(record_id: str) -> str:
    """Return what stands for an id; no digest is taken for an id, for it holds a line end."""
    if len(record_id) <= LONGEST_COMPARED:
        return record_id
    return "\n" + hashlib.blake2b(record_id.encode("ascii")).hexdigest()
