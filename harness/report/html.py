"""The report of one run as one page: no network, no script, opens from the disk."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources

from jinja2 import Environment, StrictUndefined

from harness.evidence import Decision
from harness.report import cost, headline, origin, quality
from harness.report.blocks import Section
from harness.report.escapes import printable
from harness.report.numerals import SIGNS
from harness.results import Comparison

TEMPLATE = "report.html.j2"

SECTIONS: tuple[Callable[[Comparison], Section], ...] = (
    headline.gate_section,
    headline.difference_section,
    cost.speed_section,
    cost.memory_section,
    cost.roofline_section,
    cost.attribution_section,
    cost.comparison_section,
    quality.curve_section,
    quality.reliability_section,
    quality.confusion_section,
    quality.secondary_section,
    quality.strata_section,
    quality.modality_section,
    quality.operating_section,
    quality.agreement_section,
    origin.split_section,
    origin.audit_section,
    origin.provenance_section,
    origin.repeat_section,
    origin.reading_section,
)
"""Every section, in reading order; one that has no data says why."""


def html_page(comparison: Comparison) -> str:
    """Return the whole page; every figure in it stands in ``comparison.json`` or follows from it.

    Text from outside is shown as text, in pictures too: nothing of it takes effect.
    """
    template = resources.files(__package__).joinpath(TEMPLATE).read_text(encoding="utf-8")
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["decision"] = _is_decision
    return environment.from_string(template).render(
        head=headline.headline(comparison),
        sections=[section(comparison) for section in SECTIONS],
        signs=SIGNS,
        styles=STYLES,
    )


STYLES = {
    Decision.PASS: "pass",
    Decision.FAIL: "fail",
    Decision.INCONCLUSIVE: "open",
    Decision.NOT_MEASURED: "none",
}


def _shown(value: object) -> object:
    """Return text without control characters; markup of our own passes."""
    return value if hasattr(value, "__html__") else printable(str(value))


def _is_decision(value: object) -> bool:
    return isinstance(value, Decision)
