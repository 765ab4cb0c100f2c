"""The simulated choices are whole and strict, and the figures of the documentation are theirs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scripts import simulate_choice
from scripts.simulate_choice import Cell, judged

ROOT = Path(__file__).parents[2]
STORED = ROOT / "results" / "choice-simulation" / "simulation.json"
PAGE = (ROOT / "docs" / "choosing.md").read_text("utf-8")


@pytest.fixture(scope="module")
def stored() -> tuple[Cell, ...]:
    def refuse(name: str) -> float:
        raise ValueError(name)

    document: dict[str, Any] = json.loads(STORED.read_text("utf-8"), parse_constant=refuse)
    assert document["schema"] == simulate_choice.SCHEMA
    assert document["repeats"] >= 4000
    return tuple(Cell(**each) for each in document["cells"])


def test_small_run_writes_its_file_and_prints_the_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["x", "--repeats", "5", "-o", str(tmp_path / "new")])
    assert simulate_choice.main() == 0
    document = json.loads((tmp_path / "new" / "simulation.json").read_text("utf-8"))
    cells = [Cell(**each) for each in document["cells"]]
    said = capsys.readouterr().out
    assert simulate_choice.error_table(cells) in said
    assert simulate_choice.power_table(cells) in said


def test_the_same_seed_gives_the_same_cells() -> None:
    first, second = (
        list(simulate_choice.simulate(5, np.random.default_rng(1), clusters=(10,)))
        for _ in range(2)
    )
    assert first == second


def test_shares_are_counted_by_choice_and_by_good_candidate() -> None:
    """Three choices among a good one and a bad one, at 0.025: counted by hand."""
    tests = np.array([[0.01, 0.02], [0.02, 0.01], [0.5, 0.02]])
    assert judged(tests, 1, "none") == (1, 2 / 3, 2 / 3)
    # 0.0125 each: the good one in the first choice, the bad one in the second
    assert judged(tests, 1, "bonferroni") == (1 / 3, 1 / 3, 1 / 3)
    # whoever passes first makes room for the other at 0.025; in the third, nobody does
    assert judged(tests, 1, "holm") == (2 / 3, 2 / 3, 2 / 3)
    assert judged(tests, 1, "fixed-sequence, good first")[0] == pytest.approx(2 / 3)
    assert judged(tests, 1, "fixed-sequence, bad first")[0] == 1.0


def test_holm_keeps_the_level_of_one_candidate_for_all(stored: tuple[Cell, ...]) -> None:
    """2.5%, and three standard errors of 4,000 choices; what one candidate errs more, all may."""
    for each in stored:
        if each.rule in ("holm", "bonferroni") and each.candidates > 1:
            alone = next(
                one.error
                for one in stored
                if (one.clusters, one.seeds, one.candidates, one.rule)
                == (each.clusters, each.seeds, 1, "none")
            )
            assert each.error <= max(simulate_choice.ALPHA, alone) + 3 * np.sqrt(0.025 / 4000)


@pytest.mark.parametrize("name", ["error_table", "power_table"])
def test_table_in_the_documentation_is_that_of_the_stored_run(
    stored: tuple[Cell, ...], name: str
) -> None:
    table = getattr(simulate_choice, name)(stored)
    assert table in PAGE, f"docs/choosing.md needs:\n{table}"
