"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from embedders.errors import InputError

PARTIAL_SUFFIX = ".partial"
"""Ends the name of every file that is still being written."""


def write_atomically(path: Path, writer: Callable[[Path], None]) -> None:
    """Let ``writer`` write a file beside ``path``, then give it its name in one step.

    Whoever looks at ``path`` sees the old file or the new one, never a part of it, after a crash
    or a power loss too: content and folder are flushed to the disk (``fsync``) around the rename.

    Parameters
    ----------
    path
        The final name; its folder exists.
    writer
        Is given the temporary path, in the same folder, and writes the whole file there. If it
        raises, the temporary file is removed and ``path`` is left as it was.

    Raises
    ------
    OSError
        If the disk refuses; whatever ``writer`` raises passes through.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}{PARTIAL_SUFFIX}")
    try:
        writer(partial)
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    _flush_folder(path.parent)


def write_text_atomically(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, its line ends unchanged; see :func:`write_atomically`."""

    def write(partial: Path) -> None:
        partial.write_bytes(text.encode("utf-8"))

    write_atomically(path, write)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it where they are missing, and flush their names to the disk.

    Raises
    ------
    OSError
        If the disk refuses, or a file has the name.
    """
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for each in missing:
        _flush_folder(each.parent)


def fresh_folder(folder: Path) -> Path:
    """Make a folder that holds nothing yet, or take an empty one; return it.

    Raises
    ------
    InputError
        If something is there: results are never replaced.
    OSError
        If the disk refuses.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is not empty; choose a new folder, results are never replaced")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def set_aside(path: Path, place: Path) -> Path:
    """Move a file into the folder ``place``, numbered if its name is taken; return where it went.

    Raises
    ------
    OSError
        If the disk refuses.
    """
    make_folder(place)
    taken = sum(1 for each in place.iterdir() if each.name.startswith(f"{path.name}."))
    target = place / f"{path.name}.{taken + 1}"
    path.replace(target)
    _flush_folder(place)
    _flush_folder(path.parent)
    return target


def remove_partials(folder: Path) -> None:
    """Remove what writers that were killed have left in a folder; nobody else may be writing there.

    Raises
    ------
    OSError
        If the disk refuses.
    """
    for path in folder.glob(f".*{PARTIAL_SUFFIX}"):
        path.unlink()


def _flush_folder(folder: Path) -> None:
    if os.name != "posix":  # elsewhere a folder cannot be opened, and a rename is journalled
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
