"""The report of one run as Markdown, fit for a pull request."""

from __future__ import annotations

from collections.abc import Sequence

from tabulate import tabulate

from harness.evidence import Decision
from harness.report.blocks import Table
from harness.report.escapes import MARKDOWN, code, escaped
from harness.report.forest import text_forest
from harness.report.headline import decided, endpoint_table, place_title, unclassified, why_unjudged
from harness.report.numerals import count
from harness.report.numerals import decided as signed_decision
from harness.report.origin import grouping_table, leak_table, provenance_lines
from harness.report.quality import confusion_table, modality_table, strata_table
from harness.report.tables import ROUNDING_NOTE, comparison_table, gate_table, verdict_line
from harness.results import Comparison
from harness.spec import ArmName

LONGEST_PAGE = 65_536
"""Characters that GitHub takes as the text of a pull request or a comment."""


def markdown(comparison: Comparison) -> str:
    """Return the whole report; every figure in it stands in ``comparison.json`` too.

    Text from outside is shown as text: no HTML and no markup of it takes effect. Long parts are
    folded; where the page would be longer than ``LONGEST_PAGE`` they are left out, and it says so.
    """
    spec = comparison.spec
    sections = [
        f"# {escaped(spec.title) or escaped(spec.name)}",
        f"**{escaped(verdict_line(comparison))}**",
        _question(comparison),
        "## Primary endpoints",
        _endpoints(comparison),
        "## Gates",
        gate_table(comparison, MARKDOWN),
        "## Comparison",
        comparison_table(comparison, MARKDOWN),
        _reading(comparison),
        "## Beside the primary endpoints",
        _strata(comparison),
        _modalities(comparison),
        _disagreements(comparison),
        "## Splits and leaks",
        _leaks(comparison),
        "## Confusion matrices, by seed",
        _confusions(comparison),
        "## Where this comes from",
        _provenance(comparison),
    ]
    return "\n\n".join(_fitting(sections)) + "\n"


def _question(comparison: Comparison) -> str:
    arms = [comparison.spec.arm(arm) for arm in ArmName]
    return (
        f"May {code(arms[1].embedder)} replace {code(arms[0].embedder)}? Both arms saw the same "
        "records, cleaning, truncation, folds, seeds and training recipe; nothing but the embedder "
        "differs."
    )


def _endpoints(comparison: Comparison) -> str:
    if not comparison.endpoints:
        return _missing(comparison)
    table = endpoint_table(comparison)
    forest = text_forest(
        [(each.paired, decided(comparison, each)) for each in comparison.endpoints]
    )
    drawn = Table(
        table.caption,
        (*table.header, "loss ← 0 → gain"),
        tuple((*line, drawing) for line, drawing in zip(table.lines, forest, strict=True)),
        words=table.words,
    )
    return (
        f"{_table(drawn, codes=1)}\n\n"
        "Drawing: `=` interval, `o` difference, `0` no difference, `!` margin, `<` `>` goes on."
        + "".join(f"\n\n{escaped(each.sentence)}" for each in unclassified(comparison))
    )


def _reading(comparison: Comparison) -> str:
    plan = comparison.spec.classification
    return (
        f"Rates are out of fold ({plan.folds} folds by group, never by row), mean over "
        f"{len(plan.seeds)} retraining seeds ({', '.join(map(str, plan.seeds))}), threshold 0.5. "
        "Intervals of sensitivity and specificity are those of paired rows, over groups and "
        "retraining seeds. "
        "Host memory and device memory were read in a process of each arm's own. The paired "
        "speed-up has an interval over interleaved rounds; `not measured` is never a pass. "
        f"{ROUNDING_NOTE}"
    )


def _strata(comparison: Comparison) -> str:
    tables = [
        f"{escaped(place_title(detail.dataset, detail.level))}:\n\n{_table(strata_table(detail))}"
        for detail in comparison.details
        if detail.strata
    ]
    number = sum(len(detail.strata) for detail in comparison.details)
    if not tables:
        return f"Strata: {_missing(comparison)}"
    return _folded(f"Strata: {number}", "\n\n".join(tables))


def _modalities(comparison: Comparison) -> str:
    if not comparison.modalities:
        return f"Modalities: {_missing(comparison)}"
    return _folded("Modalities", _table(modality_table(comparison)))


def _disagreements(comparison: Comparison) -> str:
    if not comparison.details:
        return f"Disagreements: {_missing(comparison)}"
    found = "; ".join(
        f"{escaped(place_title(detail.dataset, detail.level))}: {len(detail.disagreements)}"
        for detail in comparison.details
    )
    return f"Records listed as called differently by the arms: {found}."


def _leaks(comparison: Comparison) -> str:
    if not comparison.groupings:
        return _missing(comparison)
    return f"{_table(leak_table(comparison))}\n\n" + _folded(
        "How the rows were grouped", _table(grouping_table(comparison))
    )


def _confusions(comparison: Comparison) -> str:
    if not comparison.classification:
        return "No classification was measured in this run."
    table = confusion_table(comparison.classification)
    return _folded(f"Matrices: {count(len(table.lines))}", _table(table))


def _provenance(comparison: Comparison) -> str:
    lines = [
        [escaped(what), code(found) if what == "command" else escaped(found)]
        for what, found in provenance_lines(comparison)
    ]
    table = tabulate(lines, headers=["", ""], tablefmt=MARKDOWN, disable_numparse=True)
    return _folded("Code, machine, libraries, inputs", table)


def _missing(comparison: Comparison) -> str:
    return f"not measured in this run: {escaped(why_unjudged(comparison))}"


def _table(table: Table, codes: int = 0) -> str:
    """Return a table as Markdown; its last ``codes`` columns are drawings of our own."""
    words = len(table.header) - codes
    lines = [
        [
            *(
                signed_decision(text) if isinstance(text, Decision) else escaped(text)
                for text in line[:words]
            ),
            *map(code, line[words:]),
        ]
        for line in table.lines
    ]
    sides = [
        "left" if table.is_word(column) or column >= words else "right"
        for column in range(len(table.header))
    ]
    return tabulate(
        lines, headers=table.header, tablefmt=MARKDOWN, disable_numparse=True, colalign=sides
    )


def _folded(summary: str, text: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{text}\n\n</details>"


def _fitting(sections: Sequence[str]) -> list[str]:
    """Leave folded parts out, the longest first, until the page is short enough."""
    kept = list(sections)
    for part in sorted(sections, key=len, reverse=True):
        if sum(map(len, kept)) + 2 * len(kept) <= LONGEST_PAGE:
            break
        if "<details>" in part:
            kept[kept.index(part)] = "Left out, for this page would be too long: see report.html."
    return kept
