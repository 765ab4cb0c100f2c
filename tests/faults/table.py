"""The table of the rows of docs/promises.md at the end of a run of the tests."""

from __future__ import annotations

import re
from collections import defaultdict

import pytest

ROW = re.compile(r"::test_row_(\d{2})_(\w+)")
WORST_FIRST = ("error", "failed", "skipped", "passed")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print each row of docs/promises.md and how its tests ended."""
    outcomes: dict[str, list[str]] = defaultdict(list)
    titles: dict[str, str] = {}
    for outcome in WORST_FIRST:
        for report in terminalreporter.stats.get(outcome, []):
            found = ROW.search(report.nodeid)
            if found:
                outcomes[found[1]].append(outcome)
                titles.setdefault(found[1], found[2].replace("_", " "))
    if not outcomes:
        return
    terminalreporter.section("promises, row by row (docs/promises.md)")
    for row in sorted(outcomes):
        worst = next(each for each in WORST_FIRST if each in outcomes[row])
        terminalreporter.write_line(f"{row} → {worst:7}  {titles[row]}")
