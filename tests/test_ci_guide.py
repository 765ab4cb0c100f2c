"""What the guide for continuous integration shows can be run, and its files are written."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from harness.parser import build_parser
from harness.report import write_tables
from tests.harness.example_run import comparison

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "docs" / "ci.md"
WORKFLOW = ROOT / "docs" / "examples" / "gpu-migration.yml"
yaml: Any = pytest.importorskip("yaml")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)


def steps() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(WORKFLOW.read_text("utf-8"))["jobs"]["migrate"][
        "steps"
    ]
    return found


def commands(program: str) -> list[str]:
    shown = [line for block in blocks("bash") for line in block.splitlines()]
    shown += [line for step in steps() for line in step.get("run", "").splitlines()]
    return [line for line in map(str.strip, shown) if line.startswith(f"{program} ")]


@pytest.mark.parametrize("line", commands("harness"))
def test_every_command_of_ours_is_one(line: str) -> None:
    arguments = shlex.split(re.split(r"\|\||>", line)[0])[1:]
    assert build_parser().parse_args(arguments).command == arguments[0]


def test_every_option_of_the_suite_exists() -> None:
    options = {each for line in commands("pytest") for each in re.findall(r"--[a-z-]+", line)}
    assert {"--migration", "--results", "--junit-xml"} <= options
    own = re.findall(r'"(--[a-z-]+)"', (ROOT / "benchmarks" / "conftest.py").read_text("utf-8"))
    assert options <= {*own, "--junit-xml"}


def test_snippets_and_workflow_are_yaml_with_the_actions_own_tools() -> None:
    uses = [step for block in blocks("yaml") for step in yaml.safe_load(block)] + steps()
    charts = [step["with"] for step in uses if "github-action-benchmark" in step.get("uses", "")]
    assert len(charts) == 4
    for chart in charts:
        kind = "bigger" if chart["tool"] == "customBiggerIsBetter" else "smaller"
        assert chart["tool"] in ("customBiggerIsBetter", "customSmallerIsBetter")
        assert chart["output-file-path"].endswith(f"ci/github-{kind}-is-better.json")
        assert chart["external-data-json-path"].endswith(f"{kind}.json")


def test_every_file_that_is_named_is_written(tmp_path: Path) -> None:
    write_tables(comparison(), tmp_path)
    named = set(re.findall(r"ci/([a-z-]+\.json)", GUIDE.read_text("utf-8")))
    named |= set(re.findall(r"ci/([a-z-]+\.json)", WORKFLOW.read_text("utf-8")))
    assert named == {path.name for path in (tmp_path / "ci").iterdir()}


def test_the_workflow_never_runs_for_strangers_nor_twice_at_once() -> None:
    workflow = yaml.safe_load(WORKFLOW.read_text("utf-8"))
    triggers = workflow[True]  # YAML 1.1 reads the key "on" as a boolean
    assert set(triggers) == {"push", "workflow_dispatch"}
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"]["cancel-in-progress"] is False
    assert "gpu" in workflow["jobs"]["migrate"]["runs-on"]


def test_text_from_outside_reaches_a_shell_as_variables_only() -> None:
    for step in steps():
        assert "${{" not in step.get("run", ""), step


def test_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", GUIDE.read_text("utf-8")):
        assert (GUIDE.parent / link).exists(), link
