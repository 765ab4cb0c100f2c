"""Predictions come back from their CSV exactly, whatever the ids are."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import example as explicit
from hypothesis import strategies as st

from embedders.errors import InputError
from harness.judge.predictions import (
    COLUMNS,
    Examples,
    Predictions,
    read_predictions,
    write_predictions,
)

FIXTURES = [HealthCheck.function_scoped_fixture]


def example(ids: list[str]) -> Examples:
    labels = np.arange(len(ids)) % 2
    return Examples(tuple(ids), tuple(ids), tuple(f"group of {i}" for i in ids), labels)


def made(ids: list[str], *, seeds: tuple[int, ...] = (0, 1), seed: int = 0) -> Predictions:
    shape = (len(seeds), len(ids))
    rng = np.random.default_rng(seed)
    return Predictions(
        example(ids), seeds, rng.integers(0, 5, shape), rng.random(shape, dtype=np.float32)
    )


# an id is the first word of a FASTA header: printable, without blanks or control characters
words = st.text(
    st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=12
) | st.sampled_from(["NA", "null", "nan", "None", "1e5", "007", "a,b", 'a"b', "-1", "#x"])


@settings(suppress_health_check=FIXTURES, deadline=None, max_examples=40)
@given(ids=st.lists(words, min_size=1, max_size=8, unique=True), seed=st.integers(0, 99))
def test_csv_gives_back_ids_and_probabilities_exactly(
    tmp_path: Path, ids: list[str], seed: int
) -> None:
    before = made(ids, seed=seed)
    write_predictions(tmp_path / "p.csv", before)
    after = read_predictions(tmp_path / "p.csv")
    for field in ("ids", "contigs", "groups"):
        assert getattr(after.examples, field) == getattr(before.examples, field)
    assert np.array_equal(after.examples.labels, before.examples.labels)
    assert after.seeds == before.seeds
    assert np.array_equal(after.folds, before.folds)
    assert after.probabilities.dtype == np.float32
    assert np.array_equal(after.probabilities, before.probabilities)


# what a spreadsheet would run, what a CSV reader may stumble over, and the rest of Unicode
hostile = st.text(
    st.sampled_from("=+-@'\"\t\r\n\0,; \x1a\x85\u2028\ufeffa") | st.characters(codec="utf-8"),
    max_size=6,
)


@settings(suppress_health_check=FIXTURES, deadline=None, max_examples=100)
@given(
    rows=st.lists(
        st.tuples(hostile, hostile, hostile),
        min_size=1,
        max_size=6,
        unique_by=(lambda row: row[0], lambda row: row[1]),
    )
)
@explicit(rows=[("=1+1", "a\rb", "'"), ("'=1+1", "a\nb", "-"), ("a,b", 'c"d', "\0")])
def test_csv_gives_back_any_id_contig_and_group_exactly(
    tmp_path: Path, rows: list[tuple[str, str, str]]
) -> None:
    ids, contigs, groups = zip(*rows, strict=True)
    examples = Examples(ids, contigs, groups, np.zeros(len(ids), np.int64))
    shape = (2, len(ids))
    before = Predictions(examples, (0, 1), np.zeros(shape, np.int64), np.zeros(shape, np.float32))
    write_predictions(tmp_path / "p.csv", before)
    after = read_predictions(tmp_path / "p.csv").examples
    assert (after.ids, after.contigs, after.groups) == (ids, contigs, groups)


def test_no_cell_is_a_formula(tmp_path: Path) -> None:
    write_predictions(tmp_path / "p.csv", made(["=1+1", "+1", "-1", "@SUM(1)", "\tx", "\rx"]))
    with (tmp_path / "p.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.reader(stream, strict=True):
            assert not [cell for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


def test_negative_zero_is_a_probability_and_no_text(tmp_path: Path) -> None:
    chance = np.array([[-0.0]], dtype=np.float32)
    before = Predictions(example(["a"]), (0,), np.zeros((1, 1), np.int64), chance)
    write_predictions(tmp_path / "p.csv", before)
    assert read_predictions(tmp_path / "p.csv").probabilities[0, 0] == 0


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    write_predictions(path, made(["a", "b"]))
    before = path.read_bytes()
    with pytest.raises(UnicodeEncodeError):
        write_predictions(path, made(["a", "\ud800"]))  # half a surrogate has no form in UTF-8
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["p.csv"]


@settings(suppress_health_check=FIXTURES, deadline=None, max_examples=40)
@given(value=st.floats(0, 1, width=32))
def test_any_float32_probability_survives_the_csv(tmp_path: Path, value: float) -> None:
    chance = np.array([[value]], dtype=np.float32)
    before = Predictions(example(["a"]), (0,), np.zeros((1, 1), np.int64), chance)
    write_predictions(tmp_path / "p.csv", before)
    assert read_predictions(tmp_path / "p.csv").probabilities[0, 0] == np.float32(value)


def test_csv_has_the_documented_columns(tmp_path: Path) -> None:
    write_predictions(tmp_path / "p.csv", made(["a", "b"]))
    lines = (tmp_path / "p.csv").read_text().splitlines()
    assert lines[0] == ",".join(COLUMNS)
    assert len(lines) == 1 + 2 * 2
    assert lines[1].startswith("a,a,group of a,host,0,")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("probability", "chance", "no column 'probability'"),
        ("viral", "phage", "label 'phage'"),
        ("b,b,group of b,viral,1", "c,c,group of c,viral,1", "seed 1 differ"),
        ("b,b,group of b,viral,0", "a,a,group of a,host,0", "differ|twice"),
        (",0,", ",zero,", "not a table"),
    ],
)
def test_a_csv_that_is_not_whole_is_refused(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = tmp_path / "p.csv"
    write_predictions(path, made(["a", "b"]))
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(InputError, match=message):
        read_predictions(path)


def test_a_missing_or_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"p\.csv"):
        read_predictions(tmp_path / "p.csv")
    (tmp_path / "p.csv").write_text(",".join(COLUMNS) + "\n")
    with pytest.raises(InputError, match="no predictions"):
        read_predictions(tmp_path / "p.csv")


def test_examples_that_contradict_themselves_are_refused() -> None:
    labels = np.array([0, 1])
    with pytest.raises(InputError, match="'a' comes twice"):
        Examples(("a", "a"), ("c", "d"), ("g", "h"), labels)
    with pytest.raises(InputError, match="contig 'c'"):
        Examples(("a", "b"), ("c", "c"), ("g", "g"), labels)
    with pytest.raises(InputError, match="contig 'c'"):
        Examples(("a", "b"), ("c", "c"), ("g", "h"), np.array([0, 0]))
    with pytest.raises(InputError, match="1 groups for 2 ids"):
        Examples(("a", "b"), ("c", "d"), ("g",), labels)
    with pytest.raises(InputError, match="no rows"):
        Examples((), (), (), np.zeros(0, np.int64))


def test_a_row_without_a_probability_is_refused() -> None:
    with pytest.raises(InputError, match="not NaN"):
        Predictions(example(["a"]), (0,), np.zeros((1, 1), np.int64), np.full((1, 1), np.nan))


def test_a_seed_given_twice_is_refused() -> None:
    with pytest.raises(InputError, match="seeds"):
        made(["a"], seeds=(1, 1))
