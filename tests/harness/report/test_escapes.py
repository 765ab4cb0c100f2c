"""Text from outside is shown as text: in Markdown, in tables, on a terminal and in CSV."""

from __future__ import annotations

import csv
import doctest
import html
import io
import re
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.cells import unguard
from harness.costs import Contest
from harness.report import escapes as module
from harness.report import (
    gates_as_table,
    markdown,
    plain_table,
    printable,
    rows,
    terminal_summary,
    to_csv,
    write_step_summary,
)
from harness.report.escapes import code, escaped
from harness.results import Comparison
from harness.spec import Dataset, Splits, ThroughputPlan
from tests.harness.example_run import comparison

SCRIPT = "<script>alert(1)</script>"
OWN_TAG = re.compile(r"</?(?:details|summary)>")
CODE_SPAN = re.compile(r"(?<!`)`[^`]+`(?!`)")

texts = st.text(
    st.sampled_from("<>&|`\\*_~$[]()!#'\"=\n\r\t\x1b\x85\u2028\u202e a1")
    | st.characters(codec="utf-8"),
    max_size=12,
)


def told(record: object, text: str) -> object:
    """Return a record with every text in it replaced, arms and levels too."""
    changed = record
    match record:
        case Enum() | Dataset() | ThroughputPlan() | Splits() | Contest():
            pass  # a decision is one of ours, and a data set's name is checked when it is read
        case str():
            changed = text
        case Path():
            changed = Path(text)
        case tuple():
            changed = tuple(told(item, text) for item in record)
        case dict():
            changed = {key: told(value, text) for key, value in record.items()}
        case _ if is_dataclass(record) and not isinstance(record, type):
            names = [field.name for field in fields(record) if field.name != "schema"]
            changed = replace(record, **{name: told(getattr(record, name), text) for name in names})
    return changed


def hostile(text: str) -> Comparison:
    whole = told(comparison(), text)
    assert isinstance(whole, Comparison)
    return replace(whole, arms={**whole.arms, f"third {text}": whole.arms["baseline"]})


def tables(page: str) -> list[list[str]]:
    """Return the lines of each table of a page."""
    blocks = [block.splitlines() for block in page.split("\n\n")]
    return [block for block in blocks if block[0].startswith("|")]


def test_examples_are_true() -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


@settings(deadline=None, max_examples=60)
@given(text=texts)
@example(text=SCRIPT)
@example(text="`<b>")
@example(text="``<b>``")
@example(text="a | b")
@example(text="a\\|b")
@example(text="a\n\n# b\n\n| c |")
@example(text="baseline")
def test_no_text_leaves_its_place_in_the_report(text: str) -> None:
    page = markdown(hostile(text))
    outside = CODE_SPAN.sub("", page)
    assert OWN_TAG.findall(outside) == OWN_TAG.findall(markdown(hostile("text")))
    outside = OWN_TAG.sub("", outside)
    assert "<" not in outside
    assert "`" not in outside
    assert "\\" not in outside
    assert len(tables(page)) == len(tables(markdown(hostile("text"))))
    for header, *lines in tables(page):
        # cells with a pipe write it as an entity, so that pipes are borders only
        assert {line.count("|") for line in lines} == {header.count("|")}
    assert len(page.splitlines()) == len(markdown(hostile("text")).splitlines())


def test_a_script_is_shown_and_not_run() -> None:
    page = markdown(hostile(SCRIPT))
    assert SCRIPT not in CODE_SPAN.sub("", page)
    assert f"# {html.escape(SCRIPT)}\n" in page
    assert f"| {html.escape(SCRIPT)} " in page


@given(text=texts)
def test_an_escaped_text_is_the_text_in_entities(text: str) -> None:
    assert html.unescape(escaped(text)) == printable(text).strip()


@pytest.mark.parametrize(
    "text", ["**bold**", "_emphasis_", "__bold__", "~~gone~~", "[a](javascript:b)", "$x$", "a`b"]
)
def test_markup_of_a_text_has_no_effect(text: str) -> None:
    assert not re.search(r"[*~$`]|\]\(|\b_|_\b", escaped(text))


@pytest.mark.parametrize(
    "text", ["esm2-3b", "Linux x86_64", "5.03× [4.65, 5.43]", "0.820 → 0.825", "2.13.0+cpu", "É"]
)
def test_a_harmless_text_is_left_as_it_is(text: str) -> None:
    assert escaped(text) == text


@given(text=texts)
def test_a_code_span_ends_where_the_text_ends(text: str) -> None:
    shown = code(text)
    assert "|" not in shown
    assert "`" not in CODE_SPAN.sub("", shown)


@settings(deadline=None, max_examples=60)
@given(text=texts)
@example(text="\x1b]0;title\x07\x1b[2J")
@example(text="a\nVerdict: PASS")
@example(text="baseline")
def test_no_control_character_reaches_a_terminal(text: str) -> None:
    lines = terminal_summary(hostile(text), Path("nowhere")).split("\n")
    assert all(line.isprintable() for line in lines)
    assert len(lines) == len(terminal_summary(hostile("text"), Path("nowhere")).split("\n"))


def test_a_path_with_control_characters_is_shown_with_escapes(tmp_path: Path) -> None:
    folder = tmp_path / "\x1b[31mred"
    folder.mkdir()
    (folder / "comparison.json").touch()
    shown = terminal_summary(comparison(), folder)
    assert "\\x1b[31mred/comparison.json" in shown
    assert "\x1b" not in shown


def test_tables_for_a_terminal_have_no_control_characters() -> None:
    evil = "\x1b[31m\r\x07"
    assert plain_table([[evil, "x"]], ("a", "b")).replace("\n", "").isprintable()
    gates = hostile(evil).gates
    assert gates_as_table(gates, "simple").replace("\n", "").isprintable()


def test_a_data_set_with_the_name_of_a_number_keeps_it() -> None:
    whole = comparison()
    named = tuple(replace(item, dataset="007") for item in whole.classification)
    page = markdown(replace(whole, classification=named))
    assert "| 007 " in page


@settings(deadline=None, max_examples=60)
@given(text=texts)
def test_csv_gives_back_every_section_and_starts_no_formula(text: str) -> None:
    whole = hostile(text)
    read = list(csv.reader(io.StringIO(to_csv(whole), newline=""), strict=True))
    assert [unguard(line[0]) for line in read[1:]] == [row.section for row in rows(whole)]
    assert {len(line) for line in read} == {len(read[0])}


def test_the_summary_of_a_step_is_the_escaped_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(target))
    whole = hostile(SCRIPT)
    write_step_summary(whole)
    assert target.read_text(encoding="utf-8") == markdown(whole)
