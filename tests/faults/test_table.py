"""No row without a test, and none that docs/promises.md does not know."""

from __future__ import annotations

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent
PROMISES = HERE.parents[1] / "docs" / "promises.md"
ROWS = range(1, 64)


def functions() -> list[str]:
    return [
        node.name
        for path in sorted(HERE.glob("test_*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef)
    ]


def test_every_row_has_one_test_and_every_test_a_row() -> None:
    tested = [int(name.split("_")[2]) for name in functions() if name.startswith("test_row_")]
    assert sorted(tested) == list(ROWS)


def test_the_document_lists_every_row_once() -> None:
    listed: list[int] = []
    for line in PROMISES.read_text("utf-8").splitlines():
        found = re.match(r"\| (\d+(?:, \d+)*) \|", line)
        if found:
            listed += map(int, found[1].split(", "))
    assert listed == list(ROWS)
