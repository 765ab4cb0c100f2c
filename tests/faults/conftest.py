"""What the tests of the promises share, and the table of the rows at the end of their run."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from embedders import Embedder, load

ROW = re.compile(r"::test_row_(\d{2})_(\w+)")
WHEN = {"passed": "call", "failed": None, "error": None, "skipped": None}


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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print each row of docs/promises.md and how its tests ended."""
    outcomes: dict[str, list[str]] = defaultdict(list)
    titles: dict[str, str] = {}
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            found = ROW.search(report.nodeid)
            if found:
                outcomes[found[1]].append(outcome)
                titles.setdefault(found[1], found[2].replace("_", " "))
    if not outcomes:
        return
    terminalreporter.section("promises, row by row (docs/promises.md)")
    for row in sorted(outcomes):
        worst = next(
            each for each in ("error", "failed", "skipped", "passed") if each in outcomes[row]
        )
        terminalreporter.write_line(f"{row} → {worst:7}  {titles[row]}")
