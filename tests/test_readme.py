"""The README's commands are CI's, and its figures are those of the stored reference run."""

from __future__ import annotations

import re
from pathlib import Path

from harness import judge, provenance
from harness.report import markdown, to_csv
from harness.results import read_comparison

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
REFERENCE = ROOT / "results" / "demo-reference"


def squeezed(line: str) -> str:
    return re.sub(r"\s+", " ", line).strip()


def test_readme_is_short_and_complete() -> None:
    assert len(README.splitlines()) <= 200
    assert "@@" not in README
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / link).exists(), link


def test_ci_runs_the_second_command_and_no_other() -> None:
    commands = [
        squeezed(line.split("#")[0])
        for line in README.splitlines()
        if line.startswith("pip install tox")
    ]
    assert commands == ["pip install tox && tox run -e bench", "pip install tox && tox run"]
    script = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
    assert [line for line in script if "tox" in line] == commands[1:]


def test_every_row_of_the_readmes_table_stands_in_the_reference_report() -> None:
    report = {squeezed(line) for line in (REFERENCE / "report.md").read_text("utf-8").splitlines()}
    section = README.partition("## What comes out")[2].partition("\n## ")[0]
    table = [squeezed(line) for line in section.splitlines() if line.startswith("|")]
    rows = [line for line in table if not set(line) <= set("|-: ")]
    assert len(rows) > 10
    for row in rows:
        assert row in report


def test_reference_tables_are_those_of_its_json() -> None:
    comparison = read_comparison(REFERENCE)
    assert (REFERENCE / "report.md").read_text("utf-8") == markdown(comparison)
    assert (REFERENCE / "comparison.csv").read_text("utf-8") == to_csv(comparison)


def test_every_rate_of_the_reference_follows_from_its_predictions() -> None:
    comparison = read_comparison(REFERENCE)
    assert comparison.classification
    for file in {item.predictions for item in comparison.classification}:
        stored = tuple(item for item in comparison.classification if item.predictions == file)
        path = REFERENCE / file
        again = judge.summarise(
            judge.read_predictions(path),
            arm=stored[0].arm,
            dataset=stored[0].dataset,
            file=file,
            sha256=provenance.sha256(path),
        )
        assert again == stored


def test_every_run_that_the_guide_to_the_results_names_is_stored() -> None:
    names = re.findall(r"`([a-z]+(?:-[a-z0-9]+)+)`", (ROOT / "results" / "README.md").read_text())
    assert len(names) > 5
    assert [name for name in names if not (ROOT / "results" / name).is_dir()] == []
