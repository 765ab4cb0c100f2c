"""A text cell is never a formula, and comes back exactly."""

from __future__ import annotations

import csv
import doctest
import io
import math
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from harness import cells
from harness.cells import guard, line, unguard

# the four signs, tab, CR and LF: the OWASP Foundation's list of what starts a formula
DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n")
# letters that matter come often; the rest of Unicode now and then
texts = st.text(st.sampled_from("=+-@'\"\t\r\n\0,; aé\u2028") | st.characters(codec="utf-8"))


def test_examples_are_true() -> None:
    result = doctest.testmod(cells)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("sign", [*DANGEROUS, "\0", "＝", "＋", "－", "＠", " =", "\u00a0-"])  # noqa: RUF001
def test_what_starts_a_formula_is_marked(sign: str) -> None:
    assert guard(f"{sign}cmd|' /C calc'!A0") == f"'{sign}cmd|' /C calc'!A0"


@pytest.mark.parametrize("text", ["", "NP_040580.1", "a=b", "sp|P12345|", "1e5", "é"])
def test_a_harmless_text_is_left_as_it_is(text: str) -> None:
    assert guard(text) == text


@given(text=texts)
@example(text="'=1")
@example(text="'")
def test_guarding_is_undone_exactly(text: str) -> None:
    assert unguard(guard(text)) == text


@given(text=texts)
def test_no_guarded_cell_begins_like_a_formula(text: str) -> None:
    assert not guard(text).lstrip(" ").startswith(DANGEROUS)


@given(rows=st.lists(st.lists(texts, min_size=2, max_size=4), max_size=5))
def test_lines_give_back_every_text_through_the_csv_reader(rows: list[list[str]]) -> None:
    stream = io.StringIO("".join(map(line, rows)), newline="")
    read = [[unguard(cell) for cell in row] for row in csv.reader(stream, strict=True)]
    assert read == rows


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(rows=st.lists(st.lists(texts, min_size=2, max_size=3), max_size=4))
def test_lines_give_back_every_text_through_a_file(tmp_path: Path, rows: list[list[str]]) -> None:
    path = tmp_path / "cells.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        stream.writelines(map(line, rows))
    with path.open(encoding="utf-8", newline="") as stream:
        read = [[unguard(cell) for cell in row] for row in csv.reader(stream, strict=True)]
    assert read == rows


@given(rows=st.lists(st.lists(st.text(" abc,\"\n'=", max_size=5), min_size=2), max_size=4))
def test_lines_are_those_of_the_csv_writer(rows: list[list[str]]) -> None:
    # an independent writer, on texts that it quotes rightly
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerows([guard(text) for text in row] for row in rows)
    assert "".join(map(line, rows)) == stream.getvalue()


@given(value=st.floats(allow_nan=False))
@example(value=-0.0)
@example(value=-1e-300)
def test_a_number_is_not_marked_and_comes_back_exactly(value: float) -> None:
    cell = line(["x", value]).removeprefix("x,").removesuffix("\n")
    assert float(cell) == value
    assert math.copysign(1, float(cell)) == math.copysign(1, value)


def test_an_absent_figure_is_an_empty_cell() -> None:
    assert line([None, -3, "", 0.1]) == ",-3,,0.1\n"
