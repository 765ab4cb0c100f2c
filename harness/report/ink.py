"""How a picture is drawn and set into a page: same bytes each time, and inks the page chooses."""

from __future__ import annotations

import io
import re
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from harness.evidence import Decision
from harness.report.escapes import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#7a8288"
"""Grey that is read on white and on black alike."""
BLUE, ORANGE = "#3b82c4", "#d97a1f"
GRID = "#b9bfc4"
PARTS = ("#4477aa", "#66ccee", "#ccbb44", "#aa3377")
"""Tol's bright palette: parts of a whole, told apart without red against green."""
DECISION_INKS = {
    Decision.PASS: "#00835f",
    Decision.FAIL: "#c1272d",
    Decision.INCONCLUSIVE: "#b07700",
    Decision.NOT_MEASURED: INK,
}

# a page sets these inks for its light and its dark face
_OF_THE_PAGE = {
    INK: "var(--ink)",
    GRID: "var(--grid)",
    BLUE: "var(--baseline)",
    ORANGE: "var(--candidate)",
    DECISION_INKS[Decision.PASS]: "var(--pass)",
    DECISION_INKS[Decision.FAIL]: "var(--fail)",
    DECISION_INKS[Decision.INCONCLUSIVE]: "var(--open)",
}
_INKS = re.compile("|".join(_OF_THE_PAGE))
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "harness",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "axes.unicode_minus": False,
    "font.size": 9.0,
}
_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_LONGEST_LABEL = 44
_POINTS_PER_REM, _MOST_POINTS_PER_REM = 11.0, 15.5


def drawn(draw: Callable[[Figure], None], width: float, height: float) -> str:
    """Return a picture of ``width`` by ``height`` inches as SVG: the same text for the same figure.

    No date, ids from a fixed salt, text as text, and nothing in it is taken for a formula.
    """
    from matplotlib import rc_context  # noqa: PLC0415 - heavy, only for pictures
    from matplotlib.figure import Figure  # noqa: PLC0415

    sheet = io.StringIO()
    with rc_context(_STYLE), warnings.catch_warnings():
        # text stays text: the reader's own fonts draw it, whatever this machine's fonts lack
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
        figure.savefig(sheet, format="svg", transparent=True, metadata={"Date": None})
    return sheet.getvalue()


def inline(svg: str, name: str, title: str, description: str) -> str:
    """Return an SVG as an element of a page.

    Its ids begin with ``name``, so that those of two pictures never meet; its inks are those of the
    page; it has a title and a description for those who do not see it.
    """
    root = ET.fromstring(svg)  # noqa: S314 - our own text
    ET.register_namespace("", _SVG)
    ET.register_namespace("xlink", _XLINK)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"):
                parent.remove(child)
    for element in root.iter():
        for key, value in element.attrib.items():
            element.set(key, _of_the_page(key, value, name))
    width = float(root.attrib.pop("width").removesuffix("pt"))
    root.attrib.pop("height")
    # as wide as there is room, with letters neither larger than the text's nor too small to read
    least, most = width / _MOST_POINTS_PER_REM, width / _POINTS_PER_REM
    root.set("style", f"min-width: {least:.1f}rem; max-width: {most:.1f}rem")
    root.set("role", "img")
    root.set("aria-labelledby", f"{name}-title {name}-description")
    for place, (tag, text) in enumerate((("title", title), ("desc", description))):
        kind = "title" if tag == "title" else "description"
        element = ET.Element(f"{{{_SVG}}}{tag}", {"id": f"{name}-{kind}"})
        element.text = printable(text)
        root.insert(place, element)
    return ET.tostring(root, encoding="unicode")


def label(text: str, longest: int = _LONGEST_LABEL) -> str:
    r"""Return text from outside as one short line for a picture.

    Examples
    --------
    >>> label("a\nb"), len(label("x" * 99))
    ('a b', 44)
    """
    shown = printable(text).strip()
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def bare(axes: Any, *, x: str = "", y: str = "", title: str = "") -> None:  # noqa: ANN401 - of matplotlib's own making
    """Give axes their labels, the page's ink, and no more lines than needed."""
    axes.set_title(title, color=INK, fontsize=10)
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
    axes.tick_params(colors=INK)
    axes.set_facecolor("none")
    for side, spine in axes.spines.items():
        spine.set_color(INK)
        spine.set_visible(side in ("left", "bottom"))


def _of_the_page(key: str, value: str, name: str) -> str:
    if key == "id":
        return f"{name}-{value}"
    if key == f"{{{_XLINK}}}href":
        return value.replace("#", f"#{name}-", 1)
    return _INKS.sub(lambda found: _OF_THE_PAGE[found[0]], value).replace("url(#", f"url(#{name}-")
