"""A stored run computed again from its stored predictions: does it still say the same?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

from embedders.errors import InputError
from harness import judge, measure, provenance
from harness.evidence import Classification
from harness.results import Comparison
from harness.spec import ArmName

ROUNDING = 1e-9
"""Two figures that differ by no more, relatively or absolutely, are the same."""


def contradictions(comparison: Comparison, folder: Path) -> list[str]:
    """Compute rates, endpoints, details, gates and verdict again, and list what differs.

    Parameters
    ----------
    comparison
        What the run says.
    folder
        The run's folder. Where tables are missing (:func:`missing_tables`), only what follows from
        the records alone is computed again.

    Returns
    -------
    list[str]
        A sentence for each table that changed and for each record that does not follow; empty if
        all is as it was.
    """
    changed = [
        f"{name} was changed after the run: its SHA-256 is another"
        for name, sha256 in _tables(comparison).items()
        if (folder / name).is_file() and provenance.sha256(folder / name) != sha256
    ]
    if changed:
        return changed
    records = () if missing_tables(comparison, folder) else _records(comparison, folder)
    return [*records, *_gates(comparison)]


def missing_tables(comparison: Comparison, folder: Path) -> list[str]:
    """Return the names of stored tables that are not in the folder."""
    return [name for name in _tables(comparison) if not (folder / name).is_file()]


def p_values(comparison: Comparison, folder: Path) -> dict[str, float]:
    """Return the p-value of each required gate; see :func:`harness.judge.gate_p_values`.

    Parameters
    ----------
    comparison
        What the run says.
    folder
        The run's, with its predictions.
    """
    endpoints = {
        dataset: judge.endpoint_p_values(*pair, dataset=dataset, gates=comparison.spec.gates)
        for dataset, pair in _pairs(comparison, folder)
    }
    return judge.gate_p_values(comparison, endpoints)


def at_level(comparison: Comparison, folder: Path, alpha: float) -> Comparison:
    """Return the same run judged at another one-sided level, from its stored predictions.

    Endpoints, speed-up, gates and verdict are computed again; everything else stays.
    """
    gates = replace(comparison.spec.gates, alpha=alpha)
    speedup = comparison.speedup
    if speedup is not None:
        pairs = list(zip(speedup.baseline_s, speedup.candidate_s, strict=True))
        speedup = measure.summarise_pairs(pairs, confidence=gates.confidence)
    changed = replace(
        comparison,
        spec=replace(comparison.spec, gates=gates),
        speedup=speedup,
        endpoints=tuple(
            endpoint
            for dataset, pair in _pairs(comparison, folder)
            for endpoint in judge.paired_endpoints(*pair, dataset=dataset, gates=gates)
        ),
    )
    judged = judge.gates_of(changed)
    return replace(changed, gates=tuple(judged), verdict=judge.decide(judged))


_Pair = tuple[judge.Predictions, judge.Predictions]


def _pairs(comparison: Comparison, folder: Path) -> Iterator[tuple[str, _Pair]]:
    """Yield each data set that was judged with the stored predictions of both arms."""
    files = {(each.dataset, each.arm): each.predictions for each in comparison.classification}
    for dataset in dict.fromkeys(each.dataset for each in comparison.endpoints):
        before, after = (judge.read_predictions(folder / files[dataset, arm]) for arm in ArmName)
        yield dataset, (before, after)


def _tables(comparison: Comparison) -> dict[str, str]:
    """Return name and hash of every table that the records rest on."""
    named = {each.predictions: each.predictions_sha256 for each in comparison.classification}
    named |= {each.file: each.sha256 for each in comparison.groupings}
    return dict(sorted(named.items()))


def _records(comparison: Comparison, folder: Path) -> Iterator[str]:
    gates = comparison.spec.gates
    arms: dict[str, dict[str, Classification]] = {}
    for each in comparison.classification:
        arms.setdefault(each.dataset, {})[each.arm] = each
    for dataset, stored in arms.items():
        tables = {
            arm: judge.read_predictions(folder / each.predictions) for arm, each in stored.items()
        }
        for arm, each in stored.items():
            again = judge.summarise(
                tables[arm],
                arm=arm,
                dataset=dataset,
                file=each.predictions,
                sha256=each.predictions_sha256,
            )
            if not same(again, _of(comparison.classification, dataset, arm=arm)):
                yield f"the rates of the {arm} on {dataset} do not follow from its predictions"
        if len(tables) < 2:
            continue
        pair = tables["baseline"], tables["candidate"]
        endpoints = judge.paired_endpoints(*pair, dataset=dataset, gates=gates)
        if not same(endpoints, _of(comparison.endpoints, dataset)):
            yield f"the endpoints of {dataset} do not follow from the predictions"
        grouping = next(each for each in comparison.groupings if each.dataset == dataset)
        rows = judge.read_rows(folder / grouping.file)
        strata = judge.strata(rows, pair[0].examples.ids)
        details = judge.details(*pair, strata, dataset=dataset, gates=gates)
        if not same(details, _of(comparison.details, dataset)):
            yield f"the details of {dataset} do not follow from the predictions"


def _of(records: tuple[object, ...], dataset: str, **wanted: object) -> tuple[object, ...]:
    wanted["dataset"] = dataset
    return tuple(
        each
        for each in records
        if all(getattr(each, key) == value for key, value in wanted.items())
    )


def same(stored: object, now: object) -> bool:
    """Tell whether two records agree, figures but for the last digits.

    Sums round otherwise on another processor; a figure that was changed differs by more.

    Examples
    --------
    >>> same((0.1 + 0.2, "a", None), (0.3, "a", None)), same(0.3, 0.3001), same(1, None)
    (True, False, False)
    """
    if isinstance(stored, float) and isinstance(now, float):
        return math.isclose(stored, now, rel_tol=ROUNDING, abs_tol=ROUNDING)
    if is_dataclass(stored) and type(stored) is type(now):
        return all(
            same(getattr(stored, each.name), getattr(now, each.name)) for each in fields(stored)
        )
    if isinstance(stored, tuple) and isinstance(now, tuple):
        return len(stored) == len(now) and all(map(same, stored, now))
    if isinstance(stored, dict) and isinstance(now, dict):
        return stored.keys() == now.keys() and all(same(stored[key], now[key]) for key in stored)
    return stored == now


def _gates(comparison: Comparison) -> Iterator[str]:
    again = judge.gates_of(comparison)
    for stored, now in zip(comparison.gates, again, strict=False):
        if not same(stored, now):
            yield f"the gate {stored.name!r} does not follow from its record"
    if len(again) != len(comparison.gates):
        yield f"{len(comparison.gates)} gates are stored, {len(again)} follow"
    if judge.decide(comparison.gates) != comparison.verdict:
        yield "the verdict does not follow from the gates"


def verify(comparison: Comparison, folder: Path) -> None:
    """Refuse a run that contradicts its own predictions.

    Raises
    ------
    InputError
        If anything differs; the message lists it.
    """
    found = contradictions(comparison, folder)
    if found:
        raise InputError(f"{folder}: {'; '.join(found)}; restore it, or run the migration again")
