"""The page is whole, safe, readable by everybody, and shows the figures of the JSON alone."""

from __future__ import annotations

import doctest
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from harness import judge
from harness.evidence import Decision
from harness.report import (
    html_page,
    ink,
    markdown,
    numerals,
    rows,
)
from harness.report.headline import decided
from harness.report.html import SECTIONS
from harness.report.tables import mean_confusion, round_ratios
from harness.results import Comparison, find, read_comparison, to_json
from tests.harness.example_run import comparison, without_classification
from tests.harness.report.test_escapes import SCRIPT, hostile

NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")
HASH = re.compile(r"\b(?:[0-9a-f]{64}|[0-9a-f]{40})\b")
OWN_WORDS = re.compile(r"SHA-256|report\.html")
UNCLOSED = {"meta"}
REFERENCE = Path(__file__).parents[3] / "results" / "demo-reference"


class Reader(HTMLParser):
    """Reads what a browser would show, and every tag and attribute that it would act upon."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self._open: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {key: value or "" for key, value in attrs}
        self.tags.append((tag, found))
        hidden = tag == "style" or bool(re.search(r"-[xy]tick_", found.get("id", "")))
        if tag not in UNCLOSED:
            self._open.append((tag, hidden))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        opened, _ = self._open.pop()
        assert opened == tag, f"{opened} was closed by {tag}"

    def handle_data(self, data: str) -> None:
        if not any(hidden for _, hidden in self._open):
            self.text.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert not reader._open
    return reader


@cache
def example_page() -> str:
    return html_page(comparison())


def stored_numbers(document: object) -> Iterator[float]:
    """Yield every number of a JSON document, also those in its texts; curves are drawn alone."""
    match document:
        case bool() | None:
            pass
        case int() | float():
            yield float(document)
        case str():
            yield from map(number, NUMBER.findall(document))
        case list():
            for item in document:
                yield from stored_numbers(item)
        case dict():
            for key, value in document.items():
                yield from stored_numbers(key)
                if key not in ("curves", "bins"):
                    yield from stored_numbers(value)


def derived_numbers(whole: Comparison) -> Iterator[float]:
    """Yield the few figures that are computed, each by what the tables and the CSV use too."""
    for row in rows(whole):
        yield from (x for x in (row.baseline, row.candidate, row.change) if x is not None)
    yield from map(number, NUMBER.findall(whole.provenance.machine.sentence()))
    if whole.speedup is not None:
        yield from round_ratios(whole.speedup)
        yield from range(1, len(whole.speedup.baseline_s) + 1)
        yield 100 * whole.speedup.confidence
    for found in whole.classification:
        yield from mean_confusion(found).values()
        yield float(len(found.seeds))
    yield float(sum(len(found.seeds) for found in whole.classification))
    for split in whole.memory_splits:
        sizes = (split.weights_bytes, split.activations_bytes, split.context_bytes)
        yield from (size / 2**20 for size in sizes if size is not None)
    for detail in whole.details:
        yield float(len(detail.disagreements))
        yield float(len(detail.strata))
        yield from (float(len(each.bins)) for each in detail.calibration)
    yield from (100 * each.paired.alpha for each in whole.endpoints)


def number(token: str) -> float:
    return float(token.replace(",", ""))


def strangers(text: str, whole: Comparison) -> list[str]:
    """Return every number of a text that is neither stored nor derived, to its own rounding."""
    known = [*stored_numbers(json.loads(to_json(whole))), *derived_numbers(whole)]
    found = []
    for token in NUMBER.findall(OWN_WORDS.sub("", HASH.sub("", text))):
        digits, _, power = token.partition("e")
        places = len(digits.partition(".")[2])
        half = 0.5 * 10.0 ** (int(power or 0) - places) * (1 + 1e-9)
        if not any(abs(value - number(token)) <= half for value in known):
            found.append(token)
    return found


def test_every_number_of_the_page_is_in_the_json_or_follows_from_it() -> None:
    text = " ".join(read(example_page()).text)
    assert len(NUMBER.findall(text)) > 300
    assert strangers(text, comparison()) == []


def test_every_number_of_the_reference_runs_page_is_in_its_json() -> None:
    reference = read_comparison(REFERENCE)
    text = " ".join(read((REFERENCE / "report.html").read_text("utf-8")).text)
    assert len(NUMBER.findall(text)) > 1000
    assert strangers(text, reference) == []


def test_every_number_of_the_markdown_twin_is_too() -> None:
    prose = re.sub(r"&#\d+;|`[.=o0!<>]+`", "", markdown(comparison()))
    assert strangers(prose, comparison()) == []


def test_a_number_from_elsewhere_is_found_out() -> None:
    assert strangers("0.861, 0.863 and 0.9", comparison()) == ["0.863"]


def test_the_page_of_a_run_without_evidence_names_every_section_and_why_it_is_empty() -> None:
    bare = replace(
        without_classification(),
        unclassified={},
        parity=(),
        memory=(),
        memory_splits=(),
        roofline=None,
        attribution=None,
        contest=None,
        rates=(),
    )
    text = " ".join(read(html_page(bare)).text)
    for section in SECTIONS:
        assert section(bare).title in text
    assert text.count("Not measured in this run: ") >= 15
    assert strangers(text, bare) == []


def test_what_was_not_measured_is_not_drawn() -> None:
    names = {found.get("aria-labelledby", "") for tag, found in read(example_page()).tags}
    assert any(name.startswith("memory-0-title") for name in names)  # host memory
    assert not any(name.startswith("memory-1-title") for name in names)  # no device


@pytest.mark.parametrize(
    "text", [SCRIPT, "$x^2$ \x1b[2J", '"><img src=x onerror=alert(1)>', "汉字"]
)
def test_text_from_outside_has_no_effect(text: str) -> None:
    found = read(html_page(hostile(text)))
    assert {tag for tag, _ in found.tags} <= {tag for tag, _ in read(example_page()).tags}
    assert not [key for _, attributes in found.tags for key in attributes if key.startswith("on")]
    shown = "".join(found.text)
    assert text.replace("\x1b", "\\x1b") in shown
    assert all(sign.isprintable() or sign == "\n" for sign in shown)


def test_the_page_asks_for_nothing_from_outside() -> None:
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    tags = read(example_page()).tags
    assert ("meta", {"http-equiv": "Content-Security-Policy", "content": policy}) in tags
    assert not {tag for tag, _ in tags} & {"script", "link", "img", "iframe", "base", "object"}
    links = [
        found[key] for _, found in tags for key in ("href", "xlink:href", "src") if key in found
    ]
    assert links
    assert all(link.startswith("#") for link in links)
    assert not re.search(r"@import|url\((?!#)", example_page())


def test_ids_are_unique_and_every_reference_finds_its_own() -> None:
    tags = [found for _, found in read(example_page()).tags]
    names = [found["id"] for found in tags if "id" in found]
    assert len(names) == len(set(names))
    asked = set(re.findall(r"url\(#([^)]+)\)", example_page()))
    asked |= {found[key][1:] for found in tags for key in ("href", "xlink:href") if key in found}
    asked |= {name for found in tags for name in found.get("aria-labelledby", "").split()}
    assert asked <= set(names)


def test_every_picture_has_a_title_and_a_description() -> None:
    pictures = re.findall(r"<svg [^>]*role=\"img\"[^>]*>(.*?)</svg>", example_page(), re.DOTALL)
    assert len(pictures) >= 10
    for picture in pictures:
        assert re.match(r"\s*<title id=[^>]*>[^<]+</title><desc id=[^>]*>[^<]+</desc>", picture)


def test_headings_are_in_order_and_the_language_is_stated() -> None:
    tags = read(example_page()).tags
    levels = [int(tag[1]) for tag, _ in tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert ("html", {"lang": "en"}) in tags


def luminance(colour: str) -> float:
    """Return relative luminance by WCAG 2.2, https://www.w3.org/TR/WCAG22/#dfn-relative-luminance."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("face", [0, 1, 2], ids=["light", "dark", "print"])
def test_text_has_contrast_enough(face: int) -> None:
    faces = re.findall(r":root \{(.*?)\}", example_page(), re.DOTALL)
    inks = dict(re.findall(r"--([\w-]+): (#\w{6})", faces[face]))
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    for paper in ("paper", "raised"):
        for name in ("text", "soft", "ink", "pass", "fail", "open", "link"):
            assert contrast(inks[name], inks[paper]) >= 4.5, (name, paper)
    banners = dict(re.findall(r"--(\w+-paper): (#\w{6})", faces[0]))
    assert contrast("#ffffff", banners["pass-paper"]) >= 4.5
    assert contrast("#ffffff", banners["fail-paper"]) >= 4.5
    assert contrast("#1b2226", banners["open-paper"]) >= 4.5


def test_the_same_run_gives_the_same_page_of_less_than_2_mb() -> None:
    assert html_page(comparison()) == example_page()
    assert len(example_page().encode()) < 2_000_000


@pytest.mark.parametrize("decision", [Decision.PASS, Decision.FAIL, Decision.INCONCLUSIVE])
def test_a_verdict_has_its_word_its_sign_and_its_reason(decision: Decision) -> None:
    whole = comparison()
    told = replace(whole, verdict=replace(whole.verdict, decision=decision, reason="for a reason"))
    banner = html_page(told).split('role="status"')[1].split("</div>")[0]
    for part in (decision.value, numerals.SIGNS[decision], "for a reason"):
        assert part in banner


def test_a_forest_shows_what_the_gate_decided() -> None:
    whole = comparison()
    gates = judge.gates_of(whole)
    for each in whole.endpoints:
        gate = find(gates, name=f"{each.dataset}: {each.endpoint} per {each.level}")
        assert gate is not None
        other = replace(gate, decision=Decision.NOT_MEASURED)
        assert decided(replace(whole, gates=(other,)), each) is Decision.NOT_MEASURED


def test_the_template_is_installed_beside_the_code(tmp_path: Path) -> None:
    program = (
        "from importlib import resources; from harness.report.html import TEMPLATE;"
        "assert resources.files('harness.report').joinpath(TEMPLATE).is_file()"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)


@pytest.mark.parametrize("module", [numerals, ink], ids=lambda module: module.__name__)
def test_examples_are_true(module: object) -> None:
    result = doctest.testmod(module)  # type: ignore[arg-type]
    assert result.attempted > 0
    assert result.failed == 0
