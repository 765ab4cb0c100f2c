"""Forest plots: differences with their intervals, against the margin that was fixed beforehand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.evidence import Decision, NonInferiority
from harness.report.ink import DECISION_INKS, GRID, INK, drawn, label
from harness.report.numerals import SIGNS, difference

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ROW_INCHES = 0.44
_WIDTH_INCHES = 4.4
_LONGEST_NAME = 38
_STRIP = 33
_MARKERS = {Decision.PASS: "o", Decision.FAIL: "X", Decision.INCONCLUSIVE: "D"}


@dataclass(frozen=True, slots=True)
class ForestLine:
    """One difference; ``decision`` is None where it decides nothing."""

    name: str
    paired: NonInferiority
    decision: Decision | None

    @property
    def sign(self) -> str:
        """What stands at the end of the line."""
        return "" if self.decision is None else f"  {SIGNS[self.decision]}"


def forest_plot(lines: Sequence[ForestLine]) -> str:
    """Draw each difference and its interval, zero, and each line's margin.

    An interval that reaches beyond six margins is cut there and ends in an arrow.
    """
    left, right = _limits(lines)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for place, line in enumerate(lines):
            _interval(axes, place, line, (left, right))
            _words(axes, place, line)
        axes.set_xlim(left, right)
        axes.set_ylim(len(lines) - 0.55, -0.75)
        axes.set_yticks([])
        axes.set_xlabel("candidate minus baseline   (dashed: margin)", color=INK)
        axes.tick_params(colors=INK)
        axes.xaxis.set_major_formatter("{x:+.3g}")
        axes.locator_params(axis="x", nbins=6)
        axes.set_facecolor("none")
        for side, spine in axes.spines.items():
            spine.set_color(INK)
            spine.set_visible(side == "bottom")

    return drawn(draw, _WIDTH_INCHES, 0.65 + _ROW_INCHES * len(lines))


def text_forest(lines: Sequence[tuple[NonInferiority, Decision]]) -> list[str]:
    """Return each difference and its interval as a strip of characters, all to one scale.

    ``=`` is the interval, ``o`` the difference, ``0`` no difference, ``!`` the margin; ``<`` and
    ``>`` an interval that goes on.
    """
    if not lines:
        return []
    left, right = _limits([ForestLine("", paired, decision) for paired, decision in lines])

    def place(value: float) -> int:
        part = (min(max(value, left), right) - left) / (right - left)
        return round(part * (_STRIP - 1))

    return [_strip(paired, place, (left, right)) for paired, _ in lines]


def _strip(
    paired: NonInferiority, place: Callable[[float], int], limits: tuple[float, float]
) -> str:
    signs = ["."] * _STRIP
    if paired.lower is not None and paired.upper is not None:
        first, last = place(paired.lower), place(paired.upper)
        signs[first : last + 1] = "=" * (last + 1 - first)
        if paired.lower < limits[0]:
            signs[first] = "<"
        if paired.upper > limits[1]:
            signs[last] = ">"
    signs[place(0)] = "0"
    signs[place(-paired.margin)] = "!"
    if paired.difference is not None:
        signs[place(paired.difference)] = "o"
    return "".join(signs)


def _limits(lines: Sequence[ForestLine]) -> tuple[float, float]:
    """Return the ends of the axis: all intervals, but no more than six margins to either side."""
    margin = max(line.paired.margin for line in lines)
    paired = [line.paired for line in lines]
    ends = [end for each in paired for end in (each.lower, each.upper) if end is not None]
    low = max(min([*ends, -1.5 * margin]), -6 * margin)
    high = min(max([*ends, 0.5 * margin]), 6 * margin)
    room = 0.04 * (high - low)
    return low - room, high + room


def _interval(axes: Any, place: int, line: ForestLine, limits: tuple[float, float]) -> None:  # noqa: ANN401 - of matplotlib's own making
    paired, (left, right) = line.paired, limits
    colour = INK if line.decision is None else DECISION_INKS[line.decision]
    # both end below the words of their line
    stroke = [place - 0.08, place + 0.4]
    axes.plot([0, 0], stroke, color=GRID, lw=1.2)
    axes.plot([-paired.margin] * 2, stroke, color=INK, ls=(0, (2, 1.5)), lw=1.2)
    if paired.lower is not None and paired.upper is not None:
        low, high = max(paired.lower, left), min(paired.upper, right)
        axes.plot([low, high], [place + 0.12] * 2, color=colour, lw=2.2, solid_capstyle="butt")
        for end, cut, arrow in ((low, paired.lower < left, "<"), (high, paired.upper > right, ">")):
            marker = arrow if cut else "|"
            axes.plot(end, place + 0.12, marker, color=colour, ms=6, clip_on=False)
    if paired.difference is not None:
        shown = min(max(paired.difference, left), right)
        marker = "s" if line.decision is None else _MARKERS.get(line.decision, "s")
        axes.plot(shown, place + 0.12, marker, color=colour, ms=6, clip_on=False)


def _words(axes: Any, place: int, line: ForestLine) -> None:  # noqa: ANN401 - of matplotlib's own making
    across = axes.get_yaxis_transform()  # x in parts of the axes, y in lines
    colour = INK if line.decision is None else DECISION_INKS[line.decision]
    height = place - 0.3
    axes.text(0, height, label(line.name, _LONGEST_NAME), transform=across, color=INK, va="center")
    axes.text(
        0.95 if line.sign else 1,
        height,
        difference(line.paired),
        transform=across,
        color=INK,
        ha="right",
        va="center",
    )
    if line.sign:
        axes.text(
            1,
            height,
            line.sign.strip(),
            transform=across,
            color=colour,
            ha="right",
            va="center",
            weight="bold",
        )
