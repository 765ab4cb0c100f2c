"""The scores that ``harness predict`` writes: no formulas, never half a file."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.cells import unguard
from harness.classifier_commands import _write_scores


def read(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream, strict=True))


def test_a_name_that_is_a_formula_is_marked_and_a_number_is_not(tmp_path: Path) -> None:
    _write_scores(tmp_path / "s.csv", "id", ["=1+1", "a,b"], [-0.0, 0.5])
    assert read(tmp_path / "s.csv") == [
        ["id", "probability", "prediction"],
        ["'=1+1", "-0.0", "host"],
        ["a,b", "0.5", "viral"],
    ]


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40
)
@given(
    scores=st.dictionaries(
        st.text(st.sampled_from("=-'\"\t\r\n\0,a") | st.characters(codec="utf-8"), max_size=5),
        st.floats(0, 1),
        max_size=5,
    )
)
def test_every_name_and_score_comes_back_exactly(tmp_path: Path, scores: dict[str, float]) -> None:
    _write_scores(tmp_path / "s.csv", "contig", list(scores), list(scores.values()))
    _, *lines = read(tmp_path / "s.csv")
    assert {unguard(name): float(score) for name, score, _ in lines} == scores


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(ValueError, match="shorter"):
        _write_scores(path, "id", ["a", "b"], [0.5])  # more names than scores
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]
