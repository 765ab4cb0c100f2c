"""A folder with one writer."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from harness.files import PARTIAL_SUFFIX, make_folder, remove_partials
from harness.tuning.errors import TuningError

LOCK_FILE = ".lock"


@contextmanager
def locked(folder: Path, ours: Collection[str]) -> Iterator[None]:
    """Hold a folder that is new, empty, or begun by the same command, as its only writer.

    Parameters
    ----------
    folder
        Made where it is missing. What killed writers have left in it is removed.
    ours
        What the command writes there.

    Raises
    ------
    TuningError
        If it holds anything else, or is being written.
    OSError
        If the disk refuses.
    """
    names = {each.name for each in folder.iterdir()} if folder.exists() else set()
    strange = {name for name in names - {*ours, LOCK_FILE} if not name.endswith(PARTIAL_SUFFIX)}
    if strange:
        raise TuningError(
            f"{folder}: already holds {min(strange)!r}; fine-tuning writes into a folder of its "
            "own: choose another, or empty this one"
        )
    make_folder(folder)
    lock = FileLock(folder / LOCK_FILE, blocking=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise TuningError(
            f"{folder}: another process is writing it; wait for it to end, or choose another folder"
        ) from error
    try:
        for place in (folder, *(each for each in folder.rglob("*") if each.is_dir())):
            remove_partials(place)
        yield
    finally:
        lock.release()
