"""Pictures as self-contained SVG text, readable on light and dark pages."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.costs import Roofline

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#7a8288"
"""Grey that is read on white and on black alike."""
BLUE, ORANGE = "#3b82c4", "#d97a1f"
_SIZE_INCHES = (7.0, 4.0)


def sweep_plot(
    budgets: Sequence[int],
    rates: Sequence[tuple[float, float, float]],
    utilisation: Sequence[float],
    title: str,
) -> str:
    """Draw rate and utilisation against the token budget.

    Parameters
    ----------
    rates
        Residues per second with lower and upper end of the interval, one for each budget.
    utilisation
        Part of the matrix-product ceiling, one for each budget.
    """
    figure = _figure()
    axes = figure.subplots()
    middle = [rate for rate, _, _ in rates]
    reach = [[rate - low for rate, low, _ in rates], [high - rate for rate, _, high in rates]]
    axes.errorbar(budgets, middle, yerr=reach, color=BLUE, marker="o", capsize=4)
    axes.set_xscale("log", base=2)
    axes.set_xticks(list(budgets), [f"{budget:,}" for budget in budgets])
    axes.set_ylim(bottom=0)
    _label(axes, title, "tokens per batch", "residues per second (95% interval)")
    share = axes.twinx()
    share.plot(budgets, [100 * each for each in utilisation], color=ORANGE, marker="s", ls="--")
    share.set_ylim(0, 105)
    _label(share, "", "", "% of the matrix-product ceiling (dashed)")
    return _svg(figure)


def roofline_plot(roofline: Roofline, title: str) -> str:
    """Draw each dtype's roof, and the arms below them."""
    figure = _figure()
    axes = figure.subplots()
    intensities = [point.flops_per_byte for point in roofline.points]
    ridges = [roofline.ridge_flops_per_byte(each.dtype) for each in roofline.ceilings]
    first, last = min([*intensities, *ridges]) / 4, max([*intensities, *ridges]) * 4
    for colour, ceiling, ridge in zip((BLUE, ORANGE, INK), roofline.ceilings, ridges, strict=False):
        places = [first, ridge, last]
        roof = [roofline.attainable_flops_per_s(ceiling.dtype, each) for each in places]
        axes.plot(places, roof, color=colour, label=f"{ceiling.dtype} ceiling")
        mine = [point for point in roofline.points if point.dtype == ceiling.dtype]
        axes.scatter(
            [point.flops_per_byte for point in mine],
            [point.flops_per_s for point in mine],
            color=colour,
            zorder=3,
        )
        for point in mine:
            axes.annotate(
                point.arm,
                (point.flops_per_byte, point.flops_per_s),
                xytext=(6, -10),
                textcoords="offset points",
                color=INK,
                fontsize=7,
            )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.legend(frameon=False, labelcolor=INK)
    _label(axes, title, "useful FLOPs per byte moved", "useful FLOPs per second")
    return _svg(figure)


def _figure() -> Figure:
    from matplotlib.figure import Figure  # noqa: PLC0415 - heavy, only for pictures

    return Figure(figsize=_SIZE_INCHES, layout="constrained")


def _label(axes: Any, title: str, x: str, y: str) -> None:  # noqa: ANN401 - of matplotlib's own making
    axes.set_title(title, color=INK, fontsize=10)
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
    axes.tick_params(colors=INK)
    axes.set_facecolor("none")
    for spine in axes.spines.values():
        spine.set_color(INK)


def _svg(figure: Figure) -> str:
    """Return the same text for the same figure: no date, ids from a fixed salt, text as text."""
    from matplotlib import rc_context  # noqa: PLC0415

    sheet = io.StringIO()
    with rc_context({"svg.hashsalt": "harness", "svg.fonttype": "none"}):
        figure.savefig(sheet, format="svg", transparent=True, metadata={"Date": None})
    return sheet.getvalue()
