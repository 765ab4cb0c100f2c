"""What a reader sees first: the verdict, its reason, the primary endpoints and the key figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.evidence import Decision, Detail, Endpoint
from harness.report.blocks import Folded, Missing, Note, Picture, Section, Side, Table
from harness.report.forest import ForestLine, forest_plot
from harness.report.ink import inline
from harness.report.numerals import (
    NO_INTERVAL,
    NOT_MEASURED,
    UNDEFINED,
    count,
    exact,
    plain,
    rate,
    signed,
    times,
    times_within,
    within,
)
from harness.report.tables import arm_title, gate_title, rows
from harness.results import Comparison, Gate, find
from harness.spec import ArmName


@dataclass(frozen=True, slots=True)
class Card:
    """One key figure: what it is, the figure, and what it follows from."""

    name: str
    figure: str
    beside: str


@dataclass(frozen=True, slots=True)
class Headline:
    """The first screen of the page."""

    title: str
    decision: Decision
    reason: str
    question: str
    arms: tuple[tuple[str, str], ...]
    cards: tuple[Card, ...]
    forest: Picture | Missing
    machine: str
    started: str
    run: str


def headline(comparison: Comparison) -> Headline:
    """Return the first screen of a comparison."""
    spec, origin = comparison.spec, comparison.provenance
    lines = [
        ForestLine(
            endpoint_name(each) + ("" if is_required(comparison, each) else " *"),
            each.paired,
            decided(comparison, each),
        )
        for each in comparison.endpoints
    ]
    beside = not all(is_required(comparison, each) for each in comparison.endpoints)
    return Headline(
        title=spec.title or spec.name,
        decision=comparison.verdict.decision,
        reason=comparison.verdict.reason,
        question=f"May {spec.candidate.embedder} replace {spec.baseline.embedder}?",
        arms=tuple((arm.value, arm_title(comparison, arm) or NOT_MEASURED) for arm in ArmName),
        cards=tuple(_cards(comparison)),
        forest=_forest(
            "forest-primary",
            "Primary endpoints" + (" (* shown, and not required)" if beside else ""),
            lines,
        )
        if lines
        else Missing(why_unjudged(comparison)),
        machine=origin.machine.sentence(),
        started=origin.started,
        run=comparison.run,
    )


def gate_section(comparison: Comparison) -> Section:
    """Return every gate with its limit, what was found, and what follows."""
    table = Table(
        "Every gate must pass that is required. A gate that was not measured never passes.",
        ("gate", "decision", "limit", "value", "interval", "why"),
        tuple(
            (
                gate_title(gate),
                gate.decision,
                exact(gate.limit),
                NOT_MEASURED if gate.value is None else exact(gate.value),
                _gate_interval(gate),
                gate.reason,
            )
            for gate in comparison.gates
        ),
        long=True,
    )
    empty = Missing("the migration file asks for no gate.")
    return Section("gates", "Gates", (table if comparison.gates else empty,))


def difference_section(comparison: Comparison) -> Section:
    """Return all differences, primary and by stratum, as pictures and as a table."""
    pictures: list[Picture] = []
    for dataset, level in places(comparison):
        mine = [e for e in comparison.endpoints if (e.dataset, e.level) == (dataset, level)]
        lines = [
            ForestLine(f"{each.endpoint}, all rows", each.paired, decided(comparison, each))
            for each in mine
        ]
        detail = find(comparison.details, dataset=dataset, level=level)
        lines += _strata(detail)
        if lines:
            name = f"forest-{len(pictures)}"
            pictures.append(_forest(name, place_title(dataset, level), lines))
    if not pictures:
        return Section("differences", "Differences", (Missing(why_unjudged(comparison)),))
    note = Note(
        "Candidate minus baseline on the same rows, mean over retraining seeds. A marker with a "
        "sign is a primary endpoint; a grey square is a stratum, which decides nothing. Strata of "
        "one group have no interval and stand in the table of strata alone."
    )
    table = Folded("The primary endpoints as figures", (endpoint_table(comparison),))
    left_out = unclassified(comparison)
    return Section("differences", "Differences", (note, Side(tuple(pictures)), *left_out, table))


def endpoint_table(comparison: Comparison) -> Table:
    """Return the forest plot of the primary endpoints as a table."""
    return Table(
        "Primary endpoints: candidate minus baseline on paired rows",
        (
            "endpoint",
            "decision",
            "difference",
            "interval",
            "may be lost",
            "rows",
            "groups",
            "seeds",
            "groups needed to decide",
        ),
        tuple(
            (
                endpoint_title(comparison, each),
                decided(comparison, each),
                signed(each.paired.difference),
                within(each.paired.lower, each.paired.upper),
                rate(each.paired.margin),
                count(each.paired.rows),
                count(each.paired.clusters),
                count(each.paired.seeds),
                "" if each.paired.clusters_needed is None else count(each.paired.clusters_needed),
            )
            for each in comparison.endpoints
        ),
        words=2,
    )


def decided(comparison: Comparison, each: Endpoint) -> Decision:
    """Return what the endpoint's gate decided: it may ask for more than the interval alone."""
    gate = _gate_of(comparison, each)
    return each.paired.decision if gate is None else gate.decision


def unclassified(comparison: Comparison) -> tuple[Missing, ...]:
    """Return a sentence for each data set that could not be cut into folds."""
    return tuple(Missing(f"{name}: {why}") for name, why in comparison.unclassified.items())


def places(comparison: Comparison) -> list[tuple[str, str]]:
    """Return every data set and level that anything was judged on, in the order of the run."""
    return list(
        dict.fromkeys(
            (each.dataset, each.level)
            for records in (comparison.classification, comparison.endpoints, comparison.details)
            for each in records
        )
    )


def place_title(dataset: str, level: str) -> str:
    """Return what a data set and a level are called together."""
    return f"{dataset}, per {level}"


def why_unjudged(comparison: Comparison) -> str:
    """Return why nothing of this kind was judged, as far as the run says."""
    if comparison.unclassified:
        return "; ".join(f"{name}: {why}" for name, why in comparison.unclassified.items())
    if not comparison.classification:
        return "no arm was classified, because that step was left out or the weights are random."
    return "the run holds no such record; it was made without this step."


def _forest(name: str, title: str, lines: list[ForestLine]) -> Picture:
    told = "; ".join(
        f"{line.name}: {signed(line.paired.difference)} "
        f"{within(line.paired.lower, line.paired.upper)}"
        + ("" if line.decision is None else f", {line.decision.value}")
        for line in lines
    )
    description = f"Difference and interval against the margin. {told}"
    return Picture(name, title, description, inline(forest_plot(lines), name, title, description))


def _strata(detail: Detail | None) -> Iterator[ForestLine]:
    for each in () if detail is None else detail.strata:
        if each.paired.lower is not None:  # one group alone has none: it is in the table of strata
            yield ForestLine(f"{each.endpoint}, {each.by} {each.name}", each.paired, None)


def endpoint_title(comparison: Comparison, each: Endpoint) -> str:
    """Return what an endpoint is called, and whether the verdict asks for it."""
    gate = _gate_of(comparison, each)
    return endpoint_name(each) if gate is None else gate_title(gate)


def is_required(comparison: Comparison, each: Endpoint) -> bool:
    """Tell whether the verdict asks for an endpoint."""
    gate = _gate_of(comparison, each)
    return gate is None or gate.required


def endpoint_name(each: Endpoint) -> str:
    """Return the name that the endpoint's gate has."""
    return f"{each.dataset}: {each.endpoint} per {each.level}"


def _gate_of(comparison: Comparison, each: Endpoint) -> Gate | None:
    return find(comparison.gates, name=endpoint_name(each))


def _gate_interval(gate: Gate) -> str:
    if gate.lower is None or gate.upper is None:
        return "" if gate.value is None else NO_INTERVAL
    return f"[{gate.lower:.3f}, {gate.upper:.3f}]"


def _cards(comparison: Comparison) -> Iterator[Card]:
    paired = comparison.speedup
    if paired is None:
        yield Card("speed-up, paired", NOT_MEASURED, "no paired rounds in this run")
    else:
        within_interval = times_within(paired.ratio, paired.lower, paired.upper)
        figure, interval = within_interval.split(" ", 1)
        yield Card("speed-up, paired", figure, f"{interval} over {len(paired.baseline_s)} rounds")
    for row in rows(comparison):
        if row.quantity in _CARDS and row.unit != "sequences/s":
            unit = "" if row.section == "Widths" else f" {row.unit}"
            measured = None not in (row.baseline, row.candidate)
            arms = f"{plain(row.baseline)} → {plain(row.candidate)}{unit}"
            if row.section == "Widths":
                figure, beside = arms, "" if row.change is None else times(row.change)
            else:
                figure, beside = UNDEFINED if row.change is None else times(row.change), arms
            yield Card(
                row.quantity,
                figure if measured else NOT_MEASURED,
                beside if measured else _why_no_card(comparison, row.quantity),
            )


_CARDS = (
    "protein width",
    "merged width",
    "throughput, median round",
    "host peak RSS",
    "device peak, torch allocated",
)


def _why_no_card(comparison: Comparison, quantity: str) -> str:
    on_cpu = bool(comparison.memory) and all(each.device == "cpu" for each in comparison.memory)
    return "the arms ran on the CPU" if quantity.startswith("device") and on_cpu else ""
