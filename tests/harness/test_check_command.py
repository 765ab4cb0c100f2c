"""``harness check`` says what it compares, decides by its exit code, and prints JSON if asked."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from harness import commands
from harness.cli import main
from tests.harness.judge.stored_runs import predictions, stored_run


def check(current: Path, baseline: Path, *, as_json: bool = False) -> int:
    options = argparse.Namespace(current=current, baseline=baseline, json=as_json, tolerance=0.05)
    return commands.check(options)


@pytest.mark.parametrize(("missed", "code"), [(0, 0), (50, 3), (140, 1)])
def test_the_exit_code_is_the_verdict(tmp_path: Path, missed: int, code: int) -> None:
    stored_run(tmp_path / "was", predictions(missed=20))
    stored_run(tmp_path / "now", predictions(missed=missed, first_missed=20))
    assert check(tmp_path / "now", tmp_path / "was") == code


def test_it_says_first_what_is_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored_run(tmp_path / "was")
    stored_run(tmp_path / "now")
    check(tmp_path / "now", tmp_path / "was")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("candidate of now (new, fair-esm, float32) against candidate of was")
    assert lines[-1].startswith("PASS - all ")


def test_json_holds_gates_and_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored_run(tmp_path / "was")
    stored_run(tmp_path / "now", predictions(missed=140, first_missed=20))
    assert check(tmp_path / "now", tmp_path / "was", as_json=True) == 1
    document = json.loads(capsys.readouterr().out)
    assert set(document) == {"compared", "gates", "verdict"}
    gates = {gate["name"]: gate for gate in document["gates"]}
    assert gates["d: sensitivity per chunk"]["decision"] == "FAIL"
    assert gates["d: sensitivity per chunk"]["value"] == pytest.approx(-140 / 600)
    assert document["verdict"]["decision"] == "FAIL"


def test_changed_predictions_are_refused_by_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = stored_run(tmp_path / "run")
    file = tmp_path / "run" / run.classification[0].predictions
    file.write_text(file.read_text("utf-8") + "\n", "utf-8")
    assert main(["check", str(tmp_path / "run"), str(tmp_path / "run")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "d-candidate.csv: was changed since the run" in line


def test_the_tolerance_and_json_are_options(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored_run(tmp_path / "run")
    folder = str(tmp_path / "run")
    assert main(["check", folder, folder, "--json", "--tolerance", "0.1"]) == 0
    (speed,) = (
        gate
        for gate in json.loads(capsys.readouterr().out)["gates"]
        if gate["name"] == "candidate: throughput"
    )
    assert speed["limit"] == pytest.approx(0.9)
