"""Pictures are whole, the same each time, and name everything they show."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from harness.costs import Bandwidth, Ceiling, Roofline, RooflinePoint
from harness.report import roofline_plot, sweep_plot

ROOFLINE = Roofline(
    ceilings=(
        Ceiling("cpu", "float32", 1.6e11, 2048, (0.1,), None),
        Ceiling("cpu", "bfloat16", 3.9e11, 2048, (0.05,), None),
    ),
    bandwidth=Bandwidth("cpu", 3e10, 2**28, (0.01,)),
    points=(
        RooflinePoint("deployed", "float32", 80.0, 4e10),
        RooflinePoint("packed", "bfloat16", 200.0, 3e11),
    ),
)


def test_a_roofline_names_each_roof_and_arm() -> None:
    text = roofline_plot(ROOFLINE, "one machine")
    ET.fromstring(text)  # noqa: S314 - our own text
    for label in ("float32 ceiling", "bfloat16 ceiling", "deployed", "packed", "one machine"):
        assert label in text


def test_the_same_figures_give_the_same_text() -> None:
    figures = ([1024, 2048], [(10.0, 9.0, 11.0), (12.0, 11.5, 12.5)], [0.4, 0.5], "<title> & more")
    text = sweep_plot(*figures)
    assert text == sweep_plot(*figures)
    assert "&lt;title&gt; &amp; more" in text
    ET.fromstring(text)  # noqa: S314 - our own text
