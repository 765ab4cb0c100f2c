"""``journal.jsonl``: what happened in a folder, and when; one line for each thing.

The manifest says what a folder holds and is the same however a run came to its end; the journal
says how it came to it: starts, resumptions, smaller budgets, shards set aside, isolated records.
"""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

JOURNAL_FILE = "journal.jsonl"
_TAIL_BYTES = 1 << 16


def note(folder: Path, event: str, **details: object) -> None:
    """Append one line: time, process, machine, event, details; flushed to the disk.

    Raises
    ------
    OSError
        If the disk refuses.
    """
    line = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "pid": os.getpid(),
        "host": platform.node(),
        "event": event,
        **details,
    }
    path = folder / JOURNAL_FILE
    with path.open("ab") as file:
        # a line that a crash cut short stays by itself
        text = json.dumps(line, allow_nan=False, ensure_ascii=False)
        file.write(f"{'' if _ends_a_line(path) else chr(10)}{text}\n".encode())
        file.flush()
        os.fsync(file.fileno())


def last_opened(folder: Path) -> str:
    """Say who opened the folder for writing last, as far as the journal tells."""
    for line in reversed(_tail(folder / JOURNAL_FILE).splitlines()):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue  # cut short by a crash, or not ours
        if isinstance(entry, dict) and entry.get("event") == "opened":
            return f"process {entry.get('pid')} on {entry.get('host')}, since {entry.get('time')}"
    return "an unknown process"


def _ends_a_line(path: Path) -> bool:
    return _tail(path)[-1:] in (b"", b"\n")


def _tail(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            return file.read()
    except FileNotFoundError:
        return b""
