"""A picture of attention maps: a panel for each layer, one scale of colours for all."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.report.ink import label

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from matplotlib.figure import Figure

    Matrix = npt.NDArray[np.float32]

DOTS_PER_INCH = 150
_WIDTH_INCHES = 10.0
_MOST_COLUMNS = 7
_LARGEST_PANEL_INCHES = 4.0
_LOWEST, _HIGHEST = 0.3, 100.0
"""The scale's ends, in even spreads; what lies beyond takes the colour of the end."""
_INK = "#3a4046"
_STYLE: dict[Any, Any] = {
    "text.parse_math": False,
    "font.size": 8.0,
    **dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), _INK
    ),
}


def maps_picture(
    panels: Sequence[tuple[int, Matrix]], *, residues: int, title: str, subtitle: str
) -> bytes:
    """Draw maps of one sequence as PNG on white: the same bytes for the same maps and libraries.

    Parameters
    ----------
    panels
        Number and map of each layer. A map is square, of any size, and covers all residues: rows
        attend to columns. Its values are multiples of an even spread, in which every token attends
        equally to all.
    residues
        How many residues a side of each map stands for.
    title, subtitle
        Text from outside is shown as text.
    """
    from matplotlib import rc_context  # noqa: PLC0415 - heavy, only for pictures
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    columns = min(_MOST_COLUMNS, math.ceil(math.sqrt(len(panels))))
    rows = math.ceil(len(panels) / columns)
    panel = min(_LARGEST_PANEL_INCHES, _WIDTH_INCHES / columns)
    sheet = io.BytesIO()
    with rc_context(_STYLE):
        size = (panel * columns + 1.2, (panel + 0.1) * rows + 0.9)
        figure = Figure(figsize=size, dpi=DOTS_PER_INCH, facecolor="white", layout="constrained")
        FigureCanvasAgg(figure)
        _draw(figure, panels, rows, columns, residues)
        figure.suptitle(f"{label(title, 60)}\n{label(subtitle, 90)}", fontsize=9)
        figure.savefig(sheet, format="png", metadata={"Software": None})
    return sheet.getvalue()


def _draw(
    figure: Figure, panels: Sequence[tuple[int, Matrix]], rows: int, columns: int, residues: int
) -> None:
    from matplotlib.colors import LogNorm  # noqa: PLC0415
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415

    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    every = list(grid.flat)
    scale = LogNorm(_LOWEST, _HIGHEST, clip=True)
    edges = (0.5, residues + 0.5, residues + 0.5, 0.5)  # residue 1 at the top left
    for axes, (layer, values) in zip(every, panels, strict=False):
        image = axes.imshow(values, norm=scale, cmap="magma_r", extent=edges)
        axes.set_title(f"layer {layer}", pad=3)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(nbins=4, integer=True, min_n_ticks=1))
    for place in range(len(panels), len(every)):
        every[place].set_visible(False)
        every[place - columns].tick_params(labelbottom=True)  # it is now the last of its column
    figure.supxlabel("residue attended to (key)")
    figure.supylabel("attending residue (query)")
    bar = figure.colorbar(image, ax=every, shrink=0.6, aspect=30, extend="both", pad=0.01)
    bar.set_label("attention, in multiples of an even spread")
    bar.ax.set_yticks([1, 10, 100], ["1", "10", "100"])
