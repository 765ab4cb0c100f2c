"""A plan as text: one table for the terminal and for Markdown, and where each figure is from."""

from __future__ import annotations

from collections.abc import Iterator
from math import floor, log10

from tabulate import tabulate

from harness.capacity.estimates import Estimate
from harness.capacity.projection import Plan
from harness.report import plain_table
from harness.report.escapes import MARKDOWN, code, escaped
from harness.spec import ArmName

UNKNOWN = "not known"
NOTHING = "-"

_TIMES = (("years", 8766.0), ("days", 24.0), ("hours", 1.0), ("minutes", 1 / 60), ("s", 1 / 3600))
_BYTES = (("PB", 1e15), ("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3))

Line = tuple[str, ...]
"""A quantity, both arms' figures, and the baseline's over the candidate's."""


def lines(plan: Plan) -> list[Line]:
    """Return the table, without its title line."""
    return [*_time_lines(plan), *_cost_lines(plan), *_storage_lines(plan)]


def screen(plan: Plan) -> str:
    """Return a plan for the terminal."""
    table = plain_table(lines(plan), _titles(plan))
    said = [f"{title}: {text}" for title, text in origins(plan)]
    return "\n".join([demand_line(plan), "", table, "", *said, *_bulleted(plan)])


def page(plan: Plan) -> str:
    """Return a plan as Markdown; text from outside has no markup in it."""
    cells = [[escaped(each) for each in line] for line in lines(plan)]
    titles = [escaped(each) for each in _titles(plan)]
    table = tabulate(cells, headers=titles, tablefmt=MARKDOWN, disable_numparse=True)
    origin = "\n".join(f"- **{escaped(title)}**: {escaped(text)}" for title, text in origins(plan))
    notes = "\n".join(f"- {escaped(note)}" for note in plan.notes)
    made = plan.provenance
    return (
        f"# Capacity plan\n\n{escaped(demand_line(plan))}\n\n{table}\n\n"
        f"## Where the figures come from\n\n{origin}\n\n## Taken for granted\n\n{notes}\n\n"
        f"Made by {code(made.command)} at {escaped(made.started)}, "
        f"commit {code(made.commit or 'unknown')}.\n"
    )


def demand_line(plan: Plan) -> str:
    """Say in one line what is planned."""
    demand = plan.demand
    entering = "whole" if demand.window is None else f"of which the first {demand.window:,} enter"
    return (
        f"{demand.sequences:,} sequences, {demand.lengths.source} "
        f"(mean {demand.lengths.mean:,.1f} residues, {entering})"
    )


def origins(plan: Plan) -> list[tuple[str, str]]:
    """Return where each figure comes from."""
    found = [(f"{name} time", plan.arm(name).basis.sentence) for name in ArmName]
    found += [(f"{name} energy", plan.arm(name).energy_origin) for name in ArmName]
    demand = plan.demand
    dna = "proteins alone" if demand.dna is None else f"DNA by {demand.dna}"
    found.append(
        (
            "storage",
            f"sizes of .{demand.shard_format} shards of {demand.shard_size:,}, as this version "
            f"writes them; {dna}; ids of {demand.lengths.id_bytes} characters",
        )
    )
    if plan.price is not None:
        found.append(("price", f"{plan.price.per_hour:,} {plan.price.currency} an hour, as stated"))
    return found


def _titles(plan: Plan) -> Line:
    names = [f"{name}: {plan.arm(name).basis.choice}" for name in ArmName]
    return "", names[0], names[1], "baseline / candidate"


def _bulleted(plan: Plan) -> list[str]:
    return [f"- {note}" for note in plan.notes]


def _time_lines(plan: Plan) -> Iterator[Line]:
    arms = [plan.arm(name) for name in ArmName]
    first, second = arms
    ratio = _times(first.device_hours.over(second.device_hours))
    flops = (f"{digits(each.flops / 1e18)} EFLOP" for each in arms)
    yield "useful arithmetic", *flops, f"{digits(first.flops / second.flops)}x"
    yield "origin of the time", *(each.basis.origin for each in arms), NOTHING
    speeds = (interval(each.sequences_per_s) for each in arms)
    yield (
        "sequences/s of one device alone",
        *speeds,
        _times(first.sequences_per_s.over(second.sequences_per_s)),
    )
    yield first.basis.unit, *(interval(each.device_hours) for each in arms), ratio
    clocks = (_clock(each.wall_hours) for each in arms)
    counted = f"{plan.devices:,} device" + ("s" if plan.devices > 1 else "")
    yield f"wall clock on {counted}", *clocks, ratio


def _cost_lines(plan: Plan) -> Iterator[Line]:
    first, second = (plan.arm(name) for name in ArmName)
    yield "energy, kWh", *_both(first.energy_kwh, second.energy_kwh)
    if plan.price is not None:
        title = f"price, {plan.price.currency}" if plan.price.currency else "price"
        yield title, *_both(first.price, second.price)


def _storage_lines(plan: Plan) -> Iterator[Line]:
    first, second = (plan.arm(name).storage for name in ArmName)
    for title, one, other in (
        ("protein features", first.protein_bytes, second.protein_bytes),
        ("DNA features, the same for both", first.dna_bytes, second.dna_bytes),
        ("merged features", first.merged_bytes, second.merged_bytes),
        ("all features", first.total_bytes, second.total_bytes),
    ):
        if one is not None and other is not None:
            unit, scale = _unit(_BYTES, max(one, other))
            shown = (f"{digits(each / scale)} {unit}" for each in (one, other))
            yield title, *shown, f"{digits(one / other)}x"


def _both(first: Estimate | None, second: Estimate | None) -> tuple[str, str, str]:
    shown = [UNKNOWN if each is None else interval(each) for each in (first, second)]
    ratio = _times(first.over(second)) if first and second else NOTHING
    return shown[0], shown[1], ratio


def interval(estimate: Estimate) -> str:
    """Return a figure and its interval.

    Examples
    --------
    >>> interval(Estimate(1234.5, 1100.2, 1390.0)), interval(Estimate(0.5))
    ('1,230 [1,100, 1,390]', '0.5')
    """
    value = digits(estimate.value)
    if estimate.lower is None or estimate.upper is None:
        return value
    return f"{value} [{digits(estimate.lower)}, {digits(estimate.upper)}]"


def digits(value: float) -> str:
    """Return a figure of any size with three digits: no projection deserves more.

    Examples
    --------
    >>> digits(148_930.2), digits(13.25), digits(0.004567), digits(2)
    ('149,000', '13.2', '0.00457', '2')
    """
    places = 2 - floor(log10(abs(value)))
    rounded = round(value, places)
    shown = f"{rounded:,.{max(places, 0)}f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def _clock(hours: Estimate) -> str:
    unit, scale = _unit(_TIMES, hours.value)
    return f"{interval(hours.times(1 / scale))} {unit}"


def _times(ratio: Estimate) -> str:
    shown = f"{digits(ratio.value)}x"
    if ratio.lower is None or ratio.upper is None:
        return shown
    return f"{shown} [{digits(ratio.lower)}, {digits(ratio.upper)}]"


def _unit(units: tuple[tuple[str, float], ...], value: float) -> tuple[str, float]:
    """Return the largest unit of which there is one at least, else the smallest."""
    return next((each for each in units if value >= each[1]), units[-1])
