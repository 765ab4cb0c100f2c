"""Typed errors of files, folders and joins; each message names the file and the remedy."""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from pathlib import Path

from embedders.errors import InputError

IDS_SHOWN = 20
_ID_CHARACTERS_SHOWN = 60


class FastaError(InputError):
    """A FASTA file that cannot be trusted as a whole; the message is one line.

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
        Its id, where it has one; the message shows its beginning, escaped.
    line
        Number of the line, from 1, where the problem lies in one.
    byte
        Where the problem begins, in bytes of the unpacked text, from 0.
    """

    def __init__(
        self,
        path: Path,
        problem: str,
        remedy: str,
        *,
        record: int | None = None,
        record_id: str | None = None,
        line: int | None = None,
        byte: int | None = None,
    ) -> None:
        name = str(path) if str(path).isprintable() else repr(str(path))
        where = "" if record is None else f", record {record}"
        where += "" if record_id is None else f" ({show_id(record_id)})"
        where += "" if line is None else f", line {line}"
        at = "" if byte is None else f", at byte position {byte}"
        super().__init__(f"{name}{where}: {problem}{at}; {remedy}")
        self.path = path
        self.record = record
        self.record_id = record_id
        self.line = line
        self.byte = byte


class BudgetError(InputError):
    """A remembered token budget that is damaged; it is found anew."""


class StrictRejection(InputError):
    """A record was rejected and the caller asked to stop rather than go on without it."""


class ShardCorrupt(InputError):
    """A shard that cannot be read, or does not hold what its format or manifest promises."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(
            f"{path}: {problem}; make it again (`harness embed`, run again on its folder, sets a "
            "damaged shard aside and computes it anew)"
        )
        self.path = path
        self.problem = problem


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


def show_id(record_id: str) -> str:
    r"""Return an id as an error message shows it: its beginning, control characters escaped.

    Examples
    --------
    >>> print(show_id("a\x1b[31m"))
    'a\x1b[31m'
    """
    more = "…" if len(record_id) > _ID_CHARACTERS_SHOWN else ""
    return repr(record_id[:_ID_CHARACTERS_SHOWN]) + more


def list_ids(ids: Collection[str]) -> str:
    """Return how many ids there are, and the first of them, for an error message.

    Examples
    --------
    >>> list_ids(["a", "b"])
    "2: 'a', 'b'"
    """
    shown = ", ".join(show_id(each) for each in islice(ids, IDS_SHOWN))
    more = ", …" if len(ids) > IDS_SHOWN else ""
    return f"{len(ids):,}: {shown}{more}"


class EmbedderBroken(InputError):
    """An embedder that fails whatever it is given, so that no record is to blame.

    ``rows`` are the indices of the records it failed on, into what the caller gave, where they
    are known; the caller has their ids.
    """

    def __init__(self, problem: str, rows: Collection[int] = ()) -> None:
        super().__init__(problem)
        self.rows = tuple(rows)


class WorkerHung(InputError):
    """A worker's process that does not answer within its time, start after start."""


class WorkerFailed(RuntimeError):
    """A batch that failed in a worker's process, or took it along; one record may be the cause."""


class WorkerOutOfMemory(MemoryError):
    """A batch for which a worker's process had too little memory, or was killed by the kernel."""
