"""The simulation is whole and strict, and the figures of the documentation are its own."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scripts import simulate_verdict

ROOT = Path(__file__).parents[2]
STORED = ROOT / "results" / "verdict-simulation"
PAGE = (ROOT / "docs" / "statistics.md").read_text("utf-8")


@pytest.fixture(scope="module")
def stored() -> dict[str, Any]:
    def refuse(name: str) -> float:
        raise ValueError(name)

    text = (STORED / "simulation.json").read_text("utf-8")
    document: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return document


def test_small_run_writes_every_file_and_prints_the_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(simulate_verdict, "CLUSTERS", (10,))
    monkeypatch.setattr(simulate_verdict, "CURVE_CLUSTERS", (10, 20))
    monkeypatch.setattr(simulate_verdict, "simulate", small)
    monkeypatch.setattr(sys, "argv", ["x", "--repeats", "20", "-o", str(tmp_path / "new")])
    assert simulate_verdict.main() == 0
    names = {path.name for path in (tmp_path / "new").iterdir()}
    assert names == {"simulation.json", "simulation.csv", "power.svg"}
    document = json.loads((tmp_path / "new" / "simulation.json").read_text("utf-8"))
    assert document["repeats"] == 20
    assert document["provenance"]["machine"]["cores"] >= 1
    assert simulate_verdict.error_table(document["cells"]) in capsys.readouterr().out


whole_simulation = simulate_verdict.simulate


def small(repeats: int, random: np.random.Generator) -> Any:  # noqa: ANN401
    return whole_simulation(repeats, random, clusters=(6, 10), sizes=("5",))


def test_a_margin_above_the_discordance_has_no_false_pass() -> None:
    found = list(small(10, np.random.default_rng(0)))
    assert found
    for cell in found:
        assert (cell.false_pass is None) == (cell.margin > cell.discordance)


def test_the_same_seed_gives_the_same_cells() -> None:
    first, second = (list(small(10, np.random.default_rng(1))) for _ in range(2))
    assert first == second


def test_picture_of_the_same_curves_is_the_same_text() -> None:
    points = list(simulate_verdict.power_curves(20, np.random.default_rng(0), (10, 20)))
    assert simulate_verdict.power_plot(points) == simulate_verdict.power_plot(points)


def test_uneven_clusters_vary_and_keep_the_middle() -> None:
    sizes = simulate_verdict.sizes_of("uneven", 41)
    assert sorted(sizes)[20] == 20
    assert max(sizes) > 4 * min(sizes) > 0


def test_stored_run_has_enough_repeats_for_its_claim(stored: dict[str, Any]) -> None:
    assert stored["schema"] == simulate_verdict.SCHEMA
    assert stored["repeats"] >= 4000
    assert stored["seconds"] > 0


def test_stored_csv_has_the_cells_of_the_json(stored: dict[str, Any]) -> None:
    text = (STORED / "simulation.csv").read_text("utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == len(stored["cells"])
    for row, cell in zip(rows, stored["cells"], strict=True):
        for name, value in cell.items():
            if isinstance(value, str):
                assert row[name] == value
            else:
                assert (float(row[name]) if row[name] else None) == value


@pytest.mark.parametrize("name", ["error_table", "few_table", "summary"])
def test_table_in_the_documentation_is_that_of_the_stored_run(
    stored: dict[str, Any], name: str
) -> None:
    table = getattr(simulate_verdict, name)(stored["cells"])
    assert table in PAGE, f"docs/statistics.md needs:\n{table}"


def test_power_in_the_documentation_is_that_of_the_stored_run(stored: dict[str, Any]) -> None:
    table = simulate_verdict.power_table(stored["power"])
    assert table in PAGE, f"docs/statistics.md needs:\n{table}"
    points = [simulate_verdict.Point(**each) for each in stored["power"]]
    svg = (STORED / "power.svg").read_text("utf-8")
    assert svg.count("<svg") == 1
    assert "../results/verdict-simulation/power.svg" in PAGE
    assert {point.margin for point in points} == {0.01, 0.05}
