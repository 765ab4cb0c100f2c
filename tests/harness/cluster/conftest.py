"""One Ray for all tests of a module: to start it takes seconds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.cluster.session import joined


@pytest.fixture(scope="module")
def ray_here() -> Iterator[None]:
    with joined(None):
        yield


@pytest.fixture(scope="session")
def contents() -> object:
    """Return a function that reads what two runs must agree on: all but the journal."""

    def read(folder: Path) -> dict[str, bytes]:
        ignored = ("journal.jsonl", ".lock")
        files = (each for each in folder.iterdir() if each.is_file() and each.name not in ignored)
        return {each.name: each.read_bytes() for each in files}

    return read
