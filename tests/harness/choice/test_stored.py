"""A stored choice follows from stored predictions, and one that was touched does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from embedders import InputError
from harness.choice import (
    CANDIDATES,
    Choice,
    missing_tables,
    read_choice,
    screen,
    verify,
    write_choice,
    write_page,
)
from harness.cli import main
from harness.evidence import Decision
from harness.results import ResultsError, read_comparison, write_comparison
from tests.harness.choice.invented import Made, judged, spec, with_details


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a whole choice on disk."""
    found = judged(spec("a", "b"), tmp_path, Made("a", faster=3.0), Made("b", missed=18))
    for name, run in found.comparisons.items():
        own = tmp_path / CANDIDATES / name
        write_comparison(with_details(run, own), own)
    write_choice(found.choice, tmp_path)
    write_page(found.choice, tmp_path)
    return tmp_path


def test_a_choice_comes_back_as_it_was_written_and_follows(folder: Path) -> None:
    choice = read_choice(folder)
    assert choice.chosen == "a"
    assert choice.spec.candidates[1].name == "b"
    assert missing_tables(choice, folder) == []
    verify(choice, folder)


@pytest.mark.parametrize(
    ("touch", "said"),
    [
        (lambda choice: replace(choice, chosen="b"), "'chosen' does not follow"),
        (
            lambda choice: replace(
                choice, verdict=replace(choice.verdict, decision=Decision.INCONCLUSIVE)
            ),
            "'verdict' does not follow",
        ),
        (
            lambda choice: replace(
                choice,
                standings=(replace(choice.standings[0], p_value=0.5), choice.standings[1]),
            ),
            "the standing of a does not follow",
        ),
        (
            lambda choice: replace(
                choice, spec=replace(choice.spec, gates=replace(choice.spec.gates, alpha=0.2))
            ),
            "a was not judged at the level that follows",
        ),
    ],
)
def test_a_record_that_does_not_follow_is_named(
    folder: Path, touch: Callable[[Choice], Choice], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        verify(touch(read_choice(folder)), folder)


def test_a_candidate_judged_at_another_level_is_named(folder: Path) -> None:
    own = folder / CANDIDATES / "b"
    run = read_comparison(own)
    assert run.speedup is not None
    write_comparison(replace(run, speedup=replace(run.speedup, lower=1.9)), own)
    with pytest.raises(InputError, match="b"):
        verify(read_choice(folder), folder)


def test_a_changed_prediction_is_named(folder: Path) -> None:
    file = folder / CANDIDATES / "b" / "predictions" / "d-candidate.csv"
    file.write_text(file.read_text("utf-8").replace("0.2", "0.9", 1), "utf-8")
    with pytest.raises(InputError, match=r"d-candidate\.csv was changed after the run"):
        verify(read_choice(folder), folder)


def test_a_candidate_outside_the_folder_is_refused(folder: Path) -> None:
    choice = read_choice(folder)
    outside = replace(choice.standings[0], folder="../a")
    with pytest.raises(InputError, match="outside its folder"):
        verify(replace(choice, standings=(outside, choice.standings[1])), folder)


def test_a_file_of_another_schema_is_refused(folder: Path) -> None:
    document = json.loads((folder / "choice.json").read_text("utf-8"))
    document["schema"] = "embedder-migration/choice/9"
    (folder / "choice.json").write_text(json.dumps(document), "utf-8")
    with pytest.raises(ResultsError, match="choice/9"):
        read_choice(folder)


def test_report_makes_the_page_anew_and_refuses_what_was_touched(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (folder / "choice.md").read_bytes()
    (folder / "choice.md").unlink()
    assert main(["report", str(folder)]) == 0
    assert "a is named" in capsys.readouterr().out
    assert (folder / "choice.md").read_bytes() == before
    assert (folder / CANDIDATES / "a" / "report.html").is_file()
    write_choice(replace(read_choice(folder), chosen="b"), folder)
    assert main(["report", str(folder)]) == 2


def test_report_says_what_it_could_not_compute_again(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / CANDIDATES / "b" / "predictions" / "d-candidate.csv").unlink()
    assert main(["report", str(folder)]) == 0
    assert "candidates/b/predictions/d-candidate.csv" in capsys.readouterr().err


def test_terminal_and_page_say_the_level_the_rule_and_the_named_one(folder: Path) -> None:
    choice = read_choice(folder)
    page = (folder / "choice.md").read_text("utf-8")
    for text in (screen(choice, folder), page):
        assert "Holm" in text
        assert "1.25%" in text  # 2.5% shared by two
        assert "a is named" in text
        assert "d: sensitivity per chunk" in text
        assert "2 candidate(s), one baseline" in text
