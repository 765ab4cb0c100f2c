"""A stored run follows from its stored predictions, and one that was touched does not."""

from __future__ import annotations

import doctest
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from embedders import InputError
from harness import recomputation
from harness.recomputation import contradictions, missing_tables, verify
from harness.results import Comparison, read_comparison

REFERENCE = Path(__file__).parents[2] / "results" / "demo-reference"


@pytest.fixture(scope="module")
def stored() -> Comparison:
    return read_comparison(REFERENCE)


def test_every_figure_of_the_reference_run_follows_from_its_predictions(stored: Comparison) -> None:
    assert missing_tables(stored, REFERENCE) == []
    assert contradictions(stored, REFERENCE) == []


def test_a_changed_prediction_is_named(stored: Comparison, tmp_path: Path) -> None:
    folder = shutil.copytree(REFERENCE, tmp_path / "run")
    name = stored.classification[0].predictions
    text = (folder / name).read_text("utf-8")
    (folder / name).write_text(text.replace("0.1", "0.9", 1), "utf-8")
    with pytest.raises(InputError, match=f"{name} was changed after the run"):
        verify(stored, folder)


def first(records: tuple[object, ...], **changes: object) -> tuple[object, ...]:
    return (replace(records[0], **changes), *records[1:])  # type: ignore[type-var]


@pytest.mark.parametrize(
    ("touch", "said"),
    [
        (
            lambda run: replace(
                run,
                classification=first(
                    run.classification, mean={**run.classification[0].mean, "f1": 0.99}
                ),
            ),
            "the rates of the baseline on contigs",
        ),
        (
            lambda run: replace(run, endpoints=first(run.endpoints, endpoint="specificity")),
            "the endpoints of contigs",
        ),
        (lambda run: replace(run, details=first(run.details, resamples=7)), "details of contigs"),
        (lambda run: replace(run, gates=first(run.gates, limit=0.0)), "the gate"),
        (lambda run: replace(run, gates=run.gates[1:]), "gates are stored"),
        (
            lambda run: replace(run, verdict=replace(run.verdict, reason="because")),
            "the verdict does not follow",
        ),
    ],
)
def test_a_record_that_does_not_follow_is_named(
    stored: Comparison, touch: Callable[[Comparison], Comparison], said: str
) -> None:
    assert any(said in each for each in contradictions(touch(stored), REFERENCE))


def test_tables_that_are_missing_are_listed_and_the_rest_is_still_checked(
    stored: Comparison, tmp_path: Path
) -> None:
    assert len(missing_tables(stored, tmp_path)) == 2 * len(stored.spec.datasets) + len(
        stored.groupings
    )
    assert contradictions(stored, tmp_path) == []
    assert contradictions(replace(stored, gates=stored.gates[1:]), tmp_path)


def test_the_examples_in_the_documentation_hold() -> None:
    assert doctest.testmod(recomputation).failed == 0
