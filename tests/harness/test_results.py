"""A run's JSON is strict, complete, and read back as it was."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import DEMO
from harness.costs import Speedup
from harness.results import (
    COMPARISON_FILE,
    ResultsError,
    find,
    read_comparison,
    to_json,
    write_comparison,
)
from tests.harness.example_run import comparison, without_classification


@pytest.mark.parametrize("make", [comparison, without_classification])
def test_what_is_written_is_read_back(tmp_path: Path, make: object) -> None:
    assert callable(make)
    original = make()
    write_comparison(original, tmp_path)
    assert read_comparison(tmp_path) == original


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_value_json_cannot_hold_is_refused_at_writing(tmp_path: Path, value: float) -> None:
    spoilt = replace(comparison(), speedup=Speedup((1.0,), (1.0,), value, 1.0, 1.0, 0.95))
    with pytest.raises(ValueError, match="strict JSON"):
        write_comparison(spoilt, tmp_path)
    assert not list(tmp_path.iterdir())


def rewritten(folder: Path, old: str, new: str) -> None:
    path = folder / COMPARISON_FILE
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("comparison/2", "comparison/9", "comparison/9"),
        ('"ratio": 2.0', '"ratio": NaN', "not strict JSON"),
        ('"ratio": 2.0', '"ratios": 2.0', "does not follow"),
        ('"ratio": 2.0', '"ratio": "2.0"', "does not follow"),
        ('"run"', '"run', "not strict JSON"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, old: str, new: str, words: str) -> None:
    write_comparison(comparison(), tmp_path)
    rewritten(tmp_path, old, new)
    with pytest.raises(ResultsError, match=words):
        read_comparison(tmp_path)


def test_a_run_from_before_the_intervals_is_read_as_one_without(tmp_path: Path) -> None:
    stored = json.loads(to_json(comparison()))
    for key in ("endpoints", "unclassified"):
        del stored[key]
    (tmp_path / COMPARISON_FILE).write_text(json.dumps(stored), "utf-8")
    expected = replace(comparison(), endpoints=(), unclassified={})
    assert read_comparison(tmp_path) == expected


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"comparison\.json: cannot be read"):
        read_comparison(tmp_path)


DOCUMENTED = {
    "throughput",
    "speedup",
    "memory",
    "gates",
    "verdict",
    "parity",
    "widths",
    "endpoints",
}


def test_documented_keys_are_the_written_ones() -> None:
    page = (Path(__file__).parents[2] / "docs" / "results-schema.md").read_text(encoding="utf-8")
    for key, value in json.loads(to_json(comparison())).items():
        assert f"`{key}" in page
        records = value if isinstance(value, list) else [value]
        if key == "endpoints":
            records = [{**records[0], **records[0]["paired"]}]
        if key in DOCUMENTED:
            for name in records[0]:
                assert f"`{name}" in page, f"{key}.{name} is not documented"


def test_find_returns_the_match_or_none() -> None:
    rows = comparison().memory
    assert find(rows, arm="candidate") is rows[1]
    assert find(rows, arm="nobody") is None


def test_no_path_of_the_machine_is_stored() -> None:
    original = comparison()
    elsewhere = tuple(
        replace(dataset, proteins=Path("/home/me/p.faa"), labels=DEMO.parent / "data" / "l.csv")
        for dataset in original.spec.datasets
    )
    text = to_json(replace(original, spec=replace(original.spec, datasets=elsewhere)))
    assert "/home/me" not in text
    assert '"p.faa"' in text
    assert '"benchmarks/data/l.csv"' in text
