"""Bars and dots of what the arms cost: rates, rounds, memory, and what a speed-up is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.costs import Factor
from harness.report.ink import BLUE, INK, ORANGE, PARTS, bare, drawn, label
from harness.report.numerals import plain, times

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INKS = {"baseline": BLUE, "candidate": ORANGE}
_WIDTH_INCHES = 4.4


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar, the figure at its end, and what it reaches from and to where it varies."""

    name: str
    arm: str
    value: float
    lower: float | None = None
    upper: float | None = None


def bar_plot(bars: Sequence[Bar], x: str) -> str:
    """Draw a horizontal bar for each figure, from zero, with whiskers where they are known."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        longest = max(bar.upper or bar.value for bar in bars)
        for place, bar in enumerate(bars):
            axes.barh(place, bar.value, height=0.42, color=INKS.get(bar.arm, INK))
            if bar.lower is not None and bar.upper is not None:
                axes.plot([bar.lower, bar.upper], [place] * 2, color=INK, lw=1.6)
                axes.plot([bar.lower, bar.upper], [place] * 2, "|", color=INK, ms=8)
            axes.text(0, place - 0.3, label(bar.name), color=INK, va="bottom")
            axes.text(longest, place - 0.3, plain(bar.value), color=INK, ha="right", va="bottom")
        axes.set_ylim(len(bars) - 0.6, -0.75)
        axes.set_xlim(0, longest * 1.02)
        axes.set_yticks([])
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.locator_params(axis="x", nbins=5)
        bare(axes, x=x)
        axes.spines["left"].set_visible(False)

    return drawn(draw, _WIDTH_INCHES, 0.6 + 0.52 * len(bars))


def rounds_plot(ratios: Sequence[float], ratio: float, lower: float, upper: float) -> str:
    """Draw the speed-up of each round, their geometric mean, and its interval as a band."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.axhspan(lower, upper, color=ORANGE, alpha=0.25, lw=0)
        axes.axhline(ratio, color=ORANGE, lw=1.4)
        axes.axhline(1, color=INK, lw=1, ls=(0, (3, 2)))
        axes.plot(range(1, len(ratios) + 1), ratios, "o", color=INK, ms=5)
        axes.set_ylim(0, max([*ratios, upper, 1.0]) * 1.1)
        axes.set_xlim(0.5, len(ratios) + 0.5)
        axes.locator_params(axis="x", nbins=8, integer=True)
        axes.yaxis.set_major_formatter("{x:g}×")
        bare(axes, x="round", y="times as fast   (dashed: equal)")

    return drawn(draw, _WIDTH_INCHES, 2.7)


def attribution_plot(orders: Mapping[str, Sequence[Factor]]) -> str:
    """Draw each order of steps as a bar on a log axis: lengths add up as factors multiply."""
    names = list(dict.fromkeys(step.factor for steps in orders.values() for step in steps))
    inks = {name: PARTS[place % len(PARTS)] for place, name in enumerate(names)}

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for place, (order, steps) in enumerate(orders.items()):
            reached = 1.0
            axes.text(1, place - 0.34, label(order), color=INK, va="bottom")
            for height, step in enumerate(steps):
                before, reached = reached, reached * step.speedup.ratio
                middle = place - 0.2 + 0.2 * height
                axes.plot(
                    [before, reached],
                    [middle] * 2,
                    color=inks[step.factor],
                    lw=9,
                    solid_capstyle="butt",
                )
                axes.annotate(
                    f"{label(step.factor)} {times(step.speedup.ratio)}",
                    (max(before, reached), middle),
                    xytext=(5, 0),
                    textcoords="offset points",
                    color=INK,
                    va="center",
                )
        _log_axis(axes, orders)
        axes.set_ylim(len(orders) - 0.4, -0.6)
        axes.set_yticks([])
        bare(axes, x="times as fast as the baseline (log scale)")
        axes.spines["left"].set_visible(False)

    return drawn(draw, _WIDTH_INCHES, 0.6 + 1.0 * len(orders))


@dataclass(frozen=True, slots=True)
class Stack:
    """Parts of one arm's memory in MiB; None was not measured."""

    arm: str
    parts: tuple[tuple[str, float | None], ...]


def stack_plot(stacks: Sequence[Stack]) -> str:
    """Draw each arm's measured parts one after the other."""
    names = list(dict.fromkeys(name for stack in stacks for name, _ in stack.parts))
    inks = dict(zip(names, PARTS, strict=False))

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for place, stack in enumerate(stacks):
            start = 0.0
            axes.text(0, place - 0.3, label(stack.arm), color=INK, va="bottom")
            for name, size in stack.parts:
                if size is not None:
                    axes.barh(place, size, left=start, height=0.42, color=inks.get(name, INK))
                    start += size
        for name in names:
            axes.barh(0, 0, color=inks.get(name, INK), label=name)
        axes.set_ylim(len(stacks) - 0.6, -0.75)
        axes.set_yticks([])
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.locator_params(axis="x", nbins=5)
        figure.legend(
            loc="outside upper left", ncols=2, frameon=False, labelcolor=INK, handlelength=1
        )
        bare(axes, x="MiB")
        axes.spines["left"].set_visible(False)

    return drawn(draw, _WIDTH_INCHES, 1.2 + 0.52 * len(stacks))


def _log_axis(axes: Any, orders: Mapping[str, Sequence[Factor]]) -> None:  # noqa: ANN401 - of matplotlib's own making
    """Spread the axis over every step, with room for the words beside the last."""
    reached = [1.0]
    for steps in orders.values():
        total = 1.0
        for step in steps:
            total *= step.speedup.ratio
            reached.append(total)
    low, high = min(reached), max(reached)
    axes.set_xscale("log")
    axes.set_xlim(low / 1.03, high * (high / low) ** 0.5 * 1.2)
    ticks = [tick for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100) if low <= tick <= high]
    axes.set_xticks(ticks or [1], [f"{tick:g}×" for tick in ticks or [1]])
    axes.minorticks_off()
