"""What the tests of the promises share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from embedders import Embedder, load


@pytest.fixture(scope="session")
def mini() -> Embedder:
    """The bundled candidate model, float32, in this process."""
    return load("mini-candidate", device="cpu")


@pytest.fixture
def fasta(tmp_path: Path) -> Callable[[bytes], Path]:
    """Return a writer of FASTA files."""

    def write(content: bytes, name: str = "in.fa") -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write
