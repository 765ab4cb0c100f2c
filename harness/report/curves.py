"""Curves of both arms: ROC, precision and recall, and reliability."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.evidence import Calibration, Curve
from harness.report.bars import INKS
from harness.report.ink import GRID, INK, bare, drawn, label

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_AXES = {
    "roc": ("false-positive rate (1 - specificity)", "sensitivity"),
    "pr": ("recall (sensitivity)", "precision"),
}
_DASHES = {"baseline": "-", "candidate": (0, (5, 1.5))}
_SIDE_INCHES = 3.6


def curve_plot(curves: Sequence[Curve], kind: str) -> str:
    """Draw the curves of one kind, ``roc`` or ``pr``, of both arms."""

    def draw(figure: Figure) -> None:
        axes: Any = figure.subplots()
        if kind == "roc":
            axes.plot([0, 1], [0, 1], color=GRID, lw=1)
        for curve in curves:
            axes.plot(curve.x, curve.y, label=label(curve.arm), **_pen(curve.arm))
        _square(axes)
        corner = "lower right" if kind == "roc" else "lower left"
        axes.legend(frameon=False, labelcolor=INK, loc=corner)
        bare(axes, x=_AXES[kind][0], y=_AXES[kind][1])

    return drawn(draw, _SIDE_INCHES, _SIDE_INCHES)


def reliability_plot(calibrations: Sequence[Calibration]) -> str:
    """Draw the share that was viral against the probability predicted, one dot for each bin."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=GRID, lw=1)
        for each in calibrations:
            axes.plot(
                [one.predicted for one in each.bins],
                [one.observed for one in each.bins],
                marker="o" if each.arm == "baseline" else "s",
                ms=4.5,
                label=label(each.arm),
                **_pen(each.arm),
            )
        _square(axes)
        axes.legend(frameon=False, labelcolor=INK, loc="upper left")
        bare(axes, x="probability of viral, predicted", y="share that was viral")

    return drawn(draw, _SIDE_INCHES, _SIDE_INCHES)


def _pen(arm: str) -> dict[str, Any]:
    return {"color": INKS.get(arm, INK), "ls": _DASHES.get(arm, "-"), "lw": 1.8}


def _square(axes: Any) -> None:  # noqa: ANN401 - of matplotlib's own making
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_aspect("equal")
    ticks = [0, 0.25, 0.5, 0.75, 1]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
