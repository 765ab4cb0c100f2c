"""The findings as one screen of text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from harness.doctor.finding import Examination, Finding, Status
from harness.report import printable

COLUMNS = 100
"""Most characters of a line."""

_STATUS_COLUMNS = max(map(len, Status))
_SUBJECT_COLUMNS = 17
_GAP = "  "
_TEXT_COLUMNS = COLUMNS - _STATUS_COLUMNS - _SUBJECT_COLUMNS - 2 * len(_GAP)


def screen(examination: Examination) -> str:
    """Return the findings as a table, each with what to do below it, and the sum of them."""
    lines = [line for finding in examination.findings for line in _lines(finding)]
    return "\n".join([*lines, "", *textwrap.wrap(printable(summary(examination)), COLUMNS)])


def summary(examination: Examination) -> str:
    """Return in one sentence whether a run can be started."""
    missing = examination.of(Status.MISSING)
    if missing:
        return f"not ready; missing: {', '.join(finding.subject for finding in missing)}"
    return "ready: nothing that is needed is missing"


def _lines(finding: Finding) -> Iterator[str]:
    subject = textwrap.wrap(printable(finding.subject), _SUBJECT_COLUMNS)
    text = _text(finding)
    for number in range(max(len(subject), len(text))):
        cells = (
            finding.status.value if number == 0 else "",
            subject[number] if number < len(subject) else "",
            text[number] if number < len(text) else "",
        )
        widths = (_STATUS_COLUMNS, _SUBJECT_COLUMNS, 0)
        yield _GAP.join(
            cell.ljust(width) for cell, width in zip(cells, widths, strict=True)
        ).rstrip()


def _text(finding: Finding) -> list[str]:
    """Return what was found and what to do: in one line if they fit, else each in its own."""
    text = printable(finding.found)
    remedy = printable(f"→ {finding.remedy}") if finding.remedy else ""
    if len(text) + 1 + len(remedy) <= _TEXT_COLUMNS:
        return [f"{text} {remedy}".rstrip()]
    return textwrap.wrap(text, _TEXT_COLUMNS) + textwrap.wrap(remedy, _TEXT_COLUMNS)
