"""The command chooses, prints what it found, and its exit code says whether anyone is named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import choice
from harness.cli import main
from tests.harness.choice.test_selection import SPEC, learn, write_inputs


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    write_inputs(tmp_path)
    return tmp_path / "choice.toml"


def test_a_choice_that_nothing_decides_exits_3_and_is_reported_again(
    spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = choice.Selection.steps

    def untimed(selection: choice.Selection) -> Iterator[choice.Step]:
        return learn(plain(selection))

    monkeypatch.setattr(choice.Selection, "steps", untimed)
    assert main(["choose", str(spec), "-o", str(tmp_path / "out")]) == 3
    said = capsys.readouterr()
    assert "Choice: INCONCLUSIVE - nobody passes" in said.out
    assert "one: classification of d by the candidate" in said.err
    (run,) = (tmp_path / "out").iterdir()
    assert main(["report", str(run)]) == 0


def test_a_file_that_cannot_be_used_is_told_in_one_line(
    spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec.write_text(SPEC.replace("weights", "weihgts", 1), "utf-8")
    assert main(["choose", str(spec), "-o", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "did you mean 'weights'" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_whole_choice_runs_from_the_command_line(spec: Path, tmp_path: Path) -> None:
    """Labels without sense, so that nobody need be named; every step runs, and all follows."""
    assert main(["choose", str(spec), "-o", str(tmp_path / "out")]) in (0, 1, 3)
    (run,) = (tmp_path / "out").iterdir()
    found = choice.read_choice(run)
    choice.verify(found, run)
    measured = [each for each in found.standings if each.name != "unlearnt"]
    for each in measured:
        assert each.cost.value is not None
        assert {gate.decision.value for gate in each.gates} <= {"PASS", "FAIL", "INCONCLUSIVE"}
