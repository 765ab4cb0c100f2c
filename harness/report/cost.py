"""What the arms cost, as sections: speed, memory, the roofline, and the steps of the speed-up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.costs import Attribution, Factor, Rate
from harness.report.bars import (
    Bar,
    Stack,
    attribution_plot,
    bar_plot,
    rounds_plot,
    stack_plot,
)
from harness.report.blocks import Block, Folded, Missing, Note, Picture, Section, Side, Table
from harness.report.ink import inline
from harness.report.numerals import (
    NOT_MEASURED,
    count,
    mebibytes,
    per_cent,
    plain,
    times,
    times_within,
)
from harness.report.plots import roofline_plot
from harness.report.tables import (
    ROUNDING_NOTE,
    Row,
    arm_title,
    round_ratios,
    rows,
    shown_change,
    slowest_and_fastest,
)
from harness.results import ROOFLINE, STEPS, Comparison
from harness.spec import ArmName

_PARTS = (
    ("weights", "weights_bytes"),
    ("activations", "activations_bytes"),
    ("allocator", "allocator_bytes"),
    ("context", "context_bytes"),
)


def speed_section(comparison: Comparison) -> Section:
    """Return throughput of each arm, and the paired speed-up round by round."""
    pictures = [*_throughput(comparison), *_rounds(comparison)]
    blocks: list[Block] = [Side(tuple(pictures))] if pictures else []
    if not comparison.throughput:
        blocks.append(Missing("throughput: no round of either arm was timed."))
    if comparison.speedup is None:
        blocks.append(Missing("paired speed-up: the arms were not timed in turn."))
    else:
        blocks.append(Folded("Seconds of each round", (_seconds(comparison),)))
    contest = comparison.contest
    if contest is not None:
        steady = "had become steady" if contest.steady else "had not been seen to become steady"
        blocks.append(
            Note(
                f"Paired rounds were timed by {contest.clock}, interleaved, after "
                f"{contest.warmup_rounds} warm-up rounds, when the arms {steady}."
            )
        )
    if comparison.rates:
        blocks.append(_rates(comparison.rates))
    else:
        blocks.append(Missing("part of the ceiling: the device's ceiling was not measured."))
    return Section("speed", "Speed", tuple(blocks))


def memory_section(comparison: Comparison) -> Section:
    """Return peaks on host and device, and where they lie."""
    found = [row for row in rows(comparison) if row.section == "Memory"]
    pictures = []
    blocks: list[Block] = []
    for place, row in enumerate(found):
        bars = [
            Bar(arm.value, arm.value, value)
            for arm, value in zip(ArmName, (row.baseline, row.candidate), strict=True)
            if value is not None
        ]
        if bars:
            told = "; ".join(f"{bar.name} {plain(bar.value)} MiB" for bar in bars)
            pictures.append(
                _picture(f"memory-{place}", row.quantity, told, bar_plot(bars, row.unit))
            )
        if len(bars) < len(ArmName):
            blocks.append(Missing(f"{row.quantity}: {_why_no_memory(comparison, row)}"))
    if comparison.memory_splits:
        pictures.append(_splits(comparison))
    top: tuple[Block, ...] = (Side(tuple(pictures)),) if pictures else ()
    ways = [each for each in comparison.memory if each.nvml_method]
    if ways:
        told = "; ".join(f"{each.arm}: {each.nvml_method}" for each in ways)
        blocks.append(Note(f"How NVML's figure was read: {told}."))
    if comparison.memory_splits:
        blocks.append(Folded("Parts of the peak as figures", (_split_table(comparison),)))
    return Section("memory", "Memory", (*top, *blocks))


def roofline_section(comparison: Comparison) -> Section:
    """Return how far each arm is below what the device can do."""
    roofline = comparison.roofline
    unplaced = tuple(
        Missing(f"{what}: {why}.")
        for what, why in comparison.inapplicable.items()
        if what.endswith(ROOFLINE)
    )
    if roofline is None:
        why = "the device's ceilings and the bytes that the arms move were not measured."
        return Section("roofline", "Roofline", unplaced or (Missing(why),))
    told = "; ".join(
        f"{point.arm} in {point.dtype}: {point.flops_per_byte:.3g} FLOPs per byte, "
        f"{point.flops_per_s:.3g} FLOPs per second"
        for point in roofline.points
    )
    picture = _picture("roofline", "Roofline", told, roofline_plot(roofline, "", width=4.7))
    table = Table(
        "Roofs of the device",
        ("roof", "dtype", "at most"),
        (
            *(
                ("matrix product", each.dtype, f"{each.flops_per_s:.3g} FLOPs/s")
                for each in roofline.ceilings
            ),
            ("memory bandwidth", "", f"{roofline.bandwidth.bytes_per_s:.3g} bytes/s"),
        ),
        words=2,
    )
    return Section("roofline", "Roofline", (picture, table, *unplaced))


def attribution_section(comparison: Comparison) -> Section:
    """Return what the speed-up is made of, in two orders of the same steps."""
    found = comparison.attribution
    title = "What the speed-up is made of"
    if found is None:
        why = "the crossed arms (one model in the other's runtime and dtype) were not timed"
        reason = comparison.inapplicable.get(STEPS)
        told = f"{why}: {reason}." if reason else f"{why}."
        return Section("attribution", title, (Missing(told),))
    total = times_within(found.total.ratio, found.total.lower, found.total.upper)
    told = "; ".join(
        f"{order}: "
        + " times ".join(f"{step.factor} {times(step.speedup.ratio)}" for step in steps)
        for order, steps in attribution_orders(found).items()
    )
    svg = attribution_plot(attribution_orders(found))
    note = Note(
        f"From {found.baseline} to {found.candidate}: {total} "
        f"({per_cent(found.total.confidence)} interval), on rounds of "
        f"{count(found.sequences_per_round)} sequences. In each order one thing changes at a "
        "time, and the factors multiply to the total; a factor depends on what was changed before "
        "it. " + ("" if found.steady else "The arms had not been seen to become steady.")
    )
    picture = _picture("attribution", "Steps of the speed-up, in two orders", told, svg)
    tables = Folded("Steps as figures", (factor_table(found), _rates(found.rates)))
    return Section("attribution", title, (note, picture, tables))


def attribution_orders(found: Attribution) -> dict[str, tuple[Factor, ...]]:
    """Return the two orders by what they begin with."""
    orders = (found.size_first, found.runtime_first)
    return {f"{steps[0].factor} first": steps for steps in orders if steps}


def factor_table(found: Attribution) -> Table:
    """Return each step of both orders with its interval."""
    return Table(
        "Each step: geometric mean over the same rounds, with its interval",
        ("order", "step", "from", "to", "times as fast"),
        tuple(
            (
                order,
                step.factor,
                step.slow,
                step.fast,
                times_within(step.speedup.ratio, step.speedup.lower, step.speedup.upper),
            )
            for order, steps in attribution_orders(found).items()
            for step in steps
        ),
        words=4,
    )


def comparison_section(comparison: Comparison) -> Section:
    """Return the whole comparison, the rows of the CSV."""
    blocks: list[Block] = [
        Note(" against ".join(f"{arm}: {arm_title(comparison, arm)}" for arm in ArmName) + ".")
    ]
    parts: dict[str, list[Row]] = {}
    for row in rows(comparison):
        parts.setdefault(row.section, []).append(row)
    for title, found in parts.items():
        blocks.append(
            Table(
                title,
                ("quantity", "unit", "baseline", "candidate", "candidate against baseline"),
                tuple(
                    (
                        row.quantity,
                        row.unit,
                        plain(row.baseline),
                        plain(row.candidate),
                        shown_change(row),
                    )
                    for row in found
                ),
                words=2,
            )
        )
    blocks.append(Note(ROUNDING_NOTE))
    return Section("comparison", "Comparison", tuple(blocks))


def _throughput(comparison: Comparison) -> Iterator[Picture]:
    bars = [
        Bar(each.arm, each.arm, each.residues_per_s, *slowest_and_fastest(each))
        for each in comparison.throughput
    ]
    if bars:
        told = "; ".join(f"{bar.name} {plain(bar.value)} residues per second" for bar in bars)
        title = "Throughput: the median round; whiskers reach to the slowest and the fastest"
        yield _picture("throughput", title, told, bar_plot(bars, "residues per second"))


def _rounds(comparison: Comparison) -> Iterator[Picture]:
    found = comparison.speedup
    if found is not None:
        total = times_within(found.ratio, found.lower, found.upper)
        level = per_cent(found.confidence)
        title = "Paired speed-up of each round; line: geometric mean, band: its interval"
        told = f"{total}, {level} interval over {len(found.baseline_s)} rounds"
        svg = rounds_plot(round_ratios(found), found.ratio, found.lower, found.upper)
        yield _picture("rounds", f"{title} ({level})", told, svg)


def _seconds(comparison: Comparison) -> Table:
    found = comparison.speedup
    lines = []
    if found is not None:
        each = zip(found.baseline_s, found.candidate_s, round_ratios(found), strict=True)
        lines = [
            (str(number), plain(before), plain(after), times(ratio))
            for number, (before, after, ratio) in enumerate(each, start=1)
        ]
    header = ("round", "baseline, s", "candidate, s", "times as fast")
    return Table("Paired rounds on equal inputs", header, tuple(lines))


def _why_no_memory(comparison: Comparison, row: Row) -> str:
    if not comparison.memory:
        return "no process was started to read peaks in."
    if row.quantity.startswith("device") and all(m.device == "cpu" for m in comparison.memory):
        return "the arms ran on the CPU."
    return "not every arm's figure could be read on this machine."


def _splits(comparison: Comparison) -> Picture:
    stacks = [
        Stack(
            f"{each.arm} on {each.device}",
            tuple(
                (name, None if (size := getattr(each, key)) is None else size / 2**20)
                for name, key in _PARTS
            ),
        )
        for each in comparison.memory_splits
    ]
    told = "; ".join(
        f"{stack.arm}: "
        + ", ".join(
            f"{name} {NOT_MEASURED if size is None else f'{plain(size)} MiB'}"
            for name, size in stack.parts
        )
        for stack in stacks
    )
    return _picture("memory-parts", "Where the peak lies", told, stack_plot(stacks))


def _split_table(comparison: Comparison) -> Table:
    return Table(
        "Parts of the peak, MiB",
        ("arm", "device", *(name for name, _ in _PARTS), "sum"),
        tuple(
            (
                each.arm,
                each.device,
                *(mebibytes(getattr(each, key)) for _, key in _PARTS),
                mebibytes(each.peak_bytes),
            )
            for each in comparison.memory_splits
        ),
        words=2,
    )


def _rates(found: Sequence[Rate]) -> Table:
    return Table(
        "What each arm does in a second, median over rounds",
        ("arm", "residues/s", "sequences/s", "useful FLOPs/s", "part of the ceiling"),
        tuple(
            (
                each.arm,
                plain(each.residues_per_s),
                plain(each.sequences_per_s),
                f"{each.flops_per_s:.3g}",
                f"{each.utilisation:.3f}",
            )
            for each in found
        ),
    )


def _picture(name: str, title: str, told: str, svg: str) -> Picture:
    return Picture(name, title, told, inline(svg, name, title, told))
