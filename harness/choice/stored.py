"""A stored choice computed again from the stored predictions of every candidate."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from embedders.errors import InputError
from harness import recomputation
from harness.choice.naming import choice_of
from harness.choice.records import Choice
from harness.results import Comparison, read_comparison


def comparisons_of(choice: Choice, folder: Path) -> dict[str, Comparison]:
    """Read the comparison of every candidate of a stored choice.

    Raises
    ------
    InputError
        If one is missing or cannot be read, or lies outside the folder.
    """
    found = {}
    for each in choice.standings:
        own = folder / each.folder
        if not own.resolve().is_relative_to(folder.resolve()):
            raise InputError(
                f"{folder}: names a candidate outside its folder: {each.folder}; take the choice "
                f"as it was written"
            )
        found[each.name] = read_comparison(own)
    return found


def missing_tables(choice: Choice, folder: Path) -> list[str]:
    """Return the stored tables of candidates that are not there, by their place in the folder."""
    return [
        f"{each.folder}/{name}"
        for each, run in zip(choice.standings, comparisons_of(choice, folder).values(), strict=True)
        for name in recomputation.missing_tables(run, folder / each.folder)
    ]


def verify(choice: Choice, folder: Path) -> None:
    """Refuse a choice that does not follow from the predictions of its candidates.

    Raises
    ------
    InputError
        If anything differs; the message lists it.
    """
    found = list(_contradictions(choice, folder))
    if found:
        raise InputError(f"{folder}: {'; '.join(found)}; restore it, or choose again")


def _contradictions(choice: Choice, folder: Path) -> Iterator[str]:
    comparisons = comparisons_of(choice, folder)
    for each in choice.standings:
        recomputation.verify(comparisons[each.name], folder / each.folder)
    again = choice_of(choice.spec, comparisons, folder, provenance=choice.provenance)
    for each, now in zip(choice.standings, again.choice.standings, strict=True):
        if not recomputation.same(comparisons[each.name], again.comparisons[each.name]):
            yield f"{each.name} was not judged at the level that follows"
        if not recomputation.same(each, now):
            yield f"the standing of {each.name} does not follow"
    for what in ("chosen", "rivals", "confidence", "verdict"):
        if not recomputation.same(getattr(choice, what), getattr(again.choice, what)):
            yield f"{what!r} does not follow from the standings"
