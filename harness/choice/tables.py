"""A choice as tables: on the terminal and as Markdown, from the same rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tabulate import tabulate

from harness.choice.records import CHOICE_FILE, Choice, Standing
from harness.choice.spec import Cost
from harness.evidence import Decision, Estimate
from harness.files import write_text_atomically
from harness.judge import Multiplicity
from harness.report import printable
from harness.report.escapes import MARKDOWN, cell, code, escaped
from harness.report.numerals import NO_INTERVAL, NOT_MEASURED, per_cent, times

PAGE_FILE = "choice.md"

RULES = {
    Multiplicity.HOLM: "Holm: everyone at alpha over their number; those that pass leave, and the "
    "others are judged anew at alpha over theirs",
    Multiplicity.BONFERRONI: "Bonferroni: everyone at alpha over their number",
    Multiplicity.FIXED_SEQUENCE: "fixed sequence: one after the other at alpha, in the order of "
    "the file, until one does not pass",
}


def standings_table(choice: Choice, style: str) -> str:
    """Return a line for each candidate in one of tabulate's styles (``simple``, ``github`` …)."""
    close = {each.name for each in choice.rivals if not each.told_apart}
    header = (
        "candidate",
        "decision",
        f"{choice.spec.cost.quantity}, of the baseline's",
        "speed-up",
        "one-sided level",
        "p",
        "adjusted p",
        "",
    )
    lines = [
        (
            cell(each.name, style),
            each.decision.value,
            _times_within(each.cost, counted=choice.spec.cost is not Cost.TIME),
            _times_within(each.speedup),
            per_cent(each.level) if each.asked else "not asked",
            f"{each.p_value:.2g}",
            f"{each.adjusted_p_value:.2g}",
            _place(each, choice.chosen, close),
        )
        for each in choice.standings
    ]
    return tabulate(lines, headers=header, tablefmt=style, disable_numparse=True)


def gates_table(choice: Choice, style: str) -> str:
    """Return every gate with an interval, and every other one that did not pass."""
    lines = [
        (
            cell(each.name, style),
            gate.decision.value,
            cell(gate.name, style),
            f"{each.p_values[gate.name]:.2g}",
            cell(gate.reason, style),
        )
        for each in choice.standings
        for gate in each.gates
        if gate.required and (gate.lower is not None or gate.decision is not Decision.PASS)
    ]
    header = ("candidate", "decision", "gate", "p", "why")
    return tabulate(lines, headers=header, tablefmt=style, disable_numparse=True)


def statements(choice: Choice) -> Iterator[str]:
    """Yield what a reader has to know of the figures, a sentence each."""
    spec = choice.spec
    count = len(spec.candidates)
    yield (
        f"{count} candidate(s), one baseline. The chance that any of them passes that must not is "
        f"kept at {per_cent(spec.gates.alpha)} for all together ({RULES[spec.multiplicity]}). "
        "Each interval is at its candidate's one-sided level, that of the speed-up as well."
    )
    for each in choice.rivals:
        interval = (
            ""
            if each.lower is None or each.upper is None
            else f" [{each.lower:.2f}, {each.upper:.2f}] at {per_cent(choice.confidence)}"
        )
        told = "dearer" if each.told_apart else "not told apart"
        yield (
            f"{each.name} costs {times(each.ratio)}{interval} of what {choice.chosen} does: {told}."
        )


def screen(choice: Choice, folder: Path) -> str:
    """Return what a person reads at the end of a choice."""
    files = [folder / name for name in (CHOICE_FILE, PAGE_FILE)]
    files += [folder / each.folder for each in choice.standings]
    return "\n\n".join(
        [
            printable(choice.spec.title or choice.spec.name),
            standings_table(choice, "simple"),
            gates_table(choice, "simple"),
            "\n".join(printable(each) for each in statements(choice)),
            f"Measured on {printable(choice.provenance.machine.sentence())}.",
            "\n".join(f"  {printable(str(file))}" for file in files),
            printable(f"Choice: {choice.verdict.decision} - {choice.verdict.reason}"),
        ]
    )


def write_page(choice: Choice, folder: Path) -> None:
    """Write ``choice.md`` beside ``choice.json``."""
    pages = "\n".join(
        f"- [{escaped(each.name)}]({each.folder}/report.md)" for each in choice.standings
    )
    parts = [
        f"# {escaped(choice.spec.title or choice.spec.name)}",
        f"**{choice.verdict.decision}**: {escaped(choice.verdict.reason)}",
        standings_table(choice, MARKDOWN),
        "\n".join(f"- {escaped(each)}" for each in statements(choice)),
        "## Gates",
        "Every gate with an interval, and every other that did not pass.",
        gates_table(choice, MARKDOWN),
        "## The comparisons",
        pages,
        f"Measured on {escaped(choice.provenance.machine.sentence())} by "
        f"{code(choice.provenance.command)}, started {choice.provenance.started}.",
    ]
    write_text_atomically(folder / PAGE_FILE, "\n\n".join(parts) + "\n")


def _times_within(found: Estimate, *, counted: bool = False) -> str:
    if found.value is None:
        return NOT_MEASURED
    if found.lower is None or found.upper is None:
        return times(found.value) if counted else f"{times(found.value)} {NO_INTERVAL}"
    return f"{times(found.value)} [{found.lower:.2f}, {found.upper:.2f}]"


def _place(standing: Standing, chosen: str | None, close: set[str]) -> str:
    if standing.name == chosen:
        return "named"
    return "as cheap, as far as can be told" if standing.name in close else ""
