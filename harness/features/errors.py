"""Typed errors of files, folders and joins; each message names the file and the remedy."""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from pathlib import Path

from embedders.errors import InputError

IDS_SHOWN = 20


class FastaError(InputError):
    """A FASTA file that cannot be trusted as a whole.

    Parameters
    ----------
    path
        The file.
    problem
        What came, and what was expected.
    remedy
        What the user can do.
    record
        Number of the record in the file, from 1, where the problem belongs to one.
    record_id
        Its id, where it has one.
    """

    def __init__(
        self,
        path: Path,
        problem: str,
        remedy: str,
        *,
        record: int | None = None,
        record_id: str | None = None,
    ) -> None:
        where = "" if record is None else f", record {record}"
        where += "" if record_id is None else f" ({record_id!r})"
        super().__init__(f"{path}{where}: {problem}; {remedy}")
        self.path = path
        self.record = record
        self.record_id = record_id


class StrictRejection(InputError):
    """A record was rejected and the caller asked to stop rather than go on without it."""


class ShardCorrupt(InputError):
    """A shard that cannot be read, or does not hold what its format or manifest promises."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}; delete the file and make it again")
        self.path = path


class ManifestError(InputError):
    """A manifest that is missing, unreadable, of another schema, or of an unfinished run."""


class FolderError(InputError):
    """A folder that cannot be written to, or already holds something."""


class FeaturesError(InputError):
    """Features that do not belong together: other embedders, other widths, shared ids."""


class MergeError(FeaturesError):
    """Two sides of a merge whose ids do not pair one to one."""


class LabelsError(InputError):
    """A table of labels that is malformed, or whose ids are not those of the features."""


def list_ids(ids: Collection[str]) -> str:
    """Return how many ids there are, and the first of them, for an error message.

    Examples
    --------
    >>> list_ids(["a", "b"])
    "2: 'a', 'b'"
    """
    shown = ", ".join(repr(each) for each in islice(ids, IDS_SHOWN))
    more = ", …" if len(ids) > IDS_SHOWN else ""
    return f"{len(ids):,}: {shown}{more}"
