"""``harness plan``: both arms beside each other, each figure with its origin, or a refusal."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from benchmarks import DEMO
from harness.cli import main

ROOT = DEMO.parents[1]
PROTEINS = str(DEMO.parent / "data" / "proteins.faa.gz")
SMALL = ("--baseline", "mini-baseline", "--candidate", "mini-candidate:huggingface:bfloat16")
H100 = ("--ceiling-tflops", "bfloat16=798", "float32=51", "--utilisation", "0.4")


@pytest.fixture(autouse=True)
def _at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_the_bare_command_plans_the_migration_from_the_stored_runs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["plan", "--sequences", "1e9", "--length", "166", "--dna", "none"]) == 0
    said = capsys.readouterr().out
    assert "1,000,000,000 sequences, 166 residues each" in said
    for quantity in ("machine hours (CPU)", "wall clock", "energy", "protein features"):
        assert quantity in said
    assert "candidate time: measured: run runtimes-cpu-650m" in said
    assert "baseline time: computed: FLOPs" in said
    assert "their ratio is no measurement" in said


def test_json_and_folder_hold_the_same_plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["plan", "--lengths-from", PROTEINS, *SMALL, "--json", "-o", str(tmp_path / "out")]
    assert main([*command, "--price", "2.50 EUR", "--power", "100", "--dna", "kmer4"]) == 0
    printed = json.loads(capsys.readouterr().out)
    stored = json.loads((tmp_path / "out" / "plan.json").read_text(encoding="utf-8"))
    assert printed == stored
    assert stored["schema"] == "embedder-migration/plan/1"
    assert stored["demand"]["sequences"] == 1720
    assert stored["candidate"]["basis"]["origin"] == "measured"
    assert stored["candidate"]["price"]["lower"] < stored["candidate"]["price"]["value"]
    assert stored["provenance"]["inputs"][0][0] == "benchmarks/data/proteins.faa.gz"
    page = (tmp_path / "out" / "plan.md").read_text(encoding="utf-8")
    assert "## Where the figures come from" in page
    assert "price, EUR" in page


def test_a_stated_device_needs_no_stored_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["plan", "--sequences", "10M", "--length", "166", "--dna", "none", *H100]
    assert main([*command, "--device", "H100", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    # 222.8 GFLOP a sequence at 40% of 798 TFLOP/s
    assert plan["candidate"]["device_hours"]["value"] == pytest.approx(1.939, rel=1e-3)
    assert plan["candidate"]["basis"]["device"] == "H100"
    assert plan["candidate"]["device_hours"]["lower"] is None


def test_a_migration_file_names_arms_dna_and_shards(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["plan", "--sequences", "100", "--length", "100", "--json", "--spec", str(DEMO)]
    assert main(command) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["demand"]["dna"] == "kmer4"
    assert plan["baseline"]["basis"]["choice"]["embedder"] == "mini-baseline"
    assert plan["candidate"]["basis"]["choice"]["dtype"] == "bfloat16"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--length", "166"], "--length needs --sequences"),
        (["--sequences", "1.5", "--length", "166"], "whole number of sequences"),
        (["--sequences", "9", "--lengths-from", "nowhere.fa"], "nowhere.fa: no such file"),
        (["--sequences", "9", "--length", "9", "--device", "H100"], "there are: AMD EPYC"),
        (["--sequences", "9", "--length", "9", "--results", "nowhere"], "no such folder"),
        (
            ["--sequences", "9", "--length", "9", "--spec", str(DEMO), "--baseline", "esm2-3b"],
            "--spec names both arms",
        ),
        (
            ["--sequences", "9", "--length", "9", "--candidate", "esm2-8m:packed:float16"],
            "esm2-8m packed float16 was not timed",
        ),
        (
            ["--sequences", "9", "--length", "9", "--ceiling-tflops", "798"],
            "no utilisation is stated",
        ),
        (
            ["--sequences", "9", "--length", "9", "--utilisation", "both=0.4"],
            "--utilisation both=0.4",
        ),
        (["--sequences", "9", "--length", "9", *H100, "--price", "EUR"], "no price"),
        (["--sequences", "9", "--length", "9", "--dna", "esm2-8m"], "embeds no DNA"),
        (["--sequences", "9", "--length", "9", "--scaling-efficiency", "2"], "at most 1"),
    ],
)
def test_what_cannot_be_planned_says_why(
    options: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", *options]) == 2
    assert reason in capsys.readouterr().err


def test_without_any_stored_run_it_says_what_to_give(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["plan", "--sequences", "1e9", "--length", "166"]) == 2
    said = capsys.readouterr().err
    assert "--ceiling-tflops" in said
    assert "There are: none" in said


def test_a_refused_plan_leaves_no_folder(tmp_path: Path) -> None:
    command = ["plan", "--sequences", "9", "--length", "9", "--device", "H100"]
    assert main([*command, "-o", str(tmp_path / "out")]) == 2
    assert not (tmp_path / "out").exists()


def test_the_page_shows_what_the_command_says(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "capacity.md").read_text(encoding="utf-8")
    _, _, example = page.partition("## Example")
    example, _, _ = example.partition("\n## ")
    command, _, rest = example.strip().removeprefix("`harness ").partition("`")
    assert main(shlex.split(command)) == 0
    said = [re.split(r"\s{2,}", line.strip()) for line in capsys.readouterr().out.splitlines()]
    table = [line.strip("| ").split(" | ") for line in rest.splitlines() if line.startswith("| ")]
    assert len(table) == 7
    for shown in table[1:]:
        assert shown in said
