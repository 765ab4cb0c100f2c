"""Pictures of speed against its ceilings, readable on light and dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.costs import Roofline
from harness.report.ink import BLUE, INK, ORANGE, bare, drawn, label

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        middle = [rate for rate, _, _ in rates]
        reach = [[rate - low for rate, low, _ in rates], [high - rate for rate, _, high in rates]]
        axes.errorbar(budgets, middle, yerr=reach, color=BLUE, marker="o", capsize=4)
        axes.set_xscale("log", base=2)
        axes.set_xticks(list(budgets), [f"{budget:,}" for budget in budgets])
        axes.set_ylim(bottom=0)
        bare(axes, title=title, x="tokens per batch", y="residues per second (95% interval)")
        share = axes.twinx()
        share.plot(budgets, [100 * each for each in utilisation], color=ORANGE, marker="s", ls="--")
        share.set_ylim(0, 105)
        bare(share, y="% of the matrix-product ceiling (dashed)")
        share.spines["right"].set_visible(True)

    return drawn(draw, 7.0, 4.0)


def roofline_plot(roofline: Roofline, title: str, *, width: float = 7.0) -> str:
    """Draw each dtype's roof, and the arms below them."""
    intensities = [point.flops_per_byte for point in roofline.points]
    ridges = [roofline.ridge_flops_per_byte(each.dtype) for each in roofline.ceilings]
    first, last = min([*intensities, *ridges]) / 4, max([*intensities, *ridges]) * 4

    def draw(figure: Figure) -> None:
        from matplotlib.ticker import LogLocator  # noqa: PLC0415 - heavy, only for pictures

        axes = figure.subplots()
        for colour, ceiling, ridge in zip(
            (BLUE, ORANGE, INK), roofline.ceilings, ridges, strict=False
        ):
            places = [first, ridge, last]
            roof = [roofline.attainable_flops_per_s(ceiling.dtype, each) for each in places]
            axes.plot(places, roof, color=colour, label=f"{label(ceiling.dtype)} ceiling")
            for point in roofline.points:
                if point.dtype == ceiling.dtype:
                    at = (point.flops_per_byte, point.flops_per_s)
                    axes.plot(*at, "o", color=colour, zorder=3)
                    axes.annotate(
                        label(point.arm),
                        at,
                        xytext=(7, -9),
                        textcoords="offset points",
                        color=INK,
                    )
        axes.set_xscale("log")
        axes.set_yscale("log")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter("{x:.0e}")
            axis.set_minor_formatter("")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.set_ylim(axes.get_ylim()[0] / 1.5, axes.get_ylim()[1] * 1.5)
        figure.legend(loc="outside upper left", ncols=2, frameon=False, labelcolor=INK)
        bare(axes, title=title, x="useful FLOPs per byte moved", y="useful FLOPs per second")

    return drawn(draw, width, 4.0)
