"""The comparison as rows: one list feeds the terminal, the CSV and the Markdown report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from statistics import fmean, geometric_mean

from tabulate import tabulate

from harness.cells import line
from harness.costs import Speedup
from harness.evidence import Classification
from harness.report.escapes import MARKDOWN, cell, escaped, printable
from harness.report.numerals import plain
from harness.results import Comparison, Gate, Throughput, find
from harness.spec import ArmName

ROUNDING_NOTE = "Changes are computed before rounding."
SHOWN_METRICS = (
    ("accuracy", "accuracy"),
    ("sensitivity", "recall"),
    ("specificity", "specificity"),
    ("precision", "precision"),
    ("F1", "f1"),
    ("ROC-AUC", "roc_auc"),
    ("PR-AUC", "pr_auc"),
    ("MCC", "mcc"),
    ("Brier score", "brier"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the comparison; None is a figure that was not measured.

    ``change`` is candidate minus baseline for rates (``kind`` = ``difference``) and candidate over
    baseline for everything else (``kind`` = ``ratio``).
    """

    section: str
    quantity: str
    unit: str
    baseline: float | None
    candidate: float | None
    change: float | None
    kind: str
    lower: float | None = None
    upper: float | None = None


def rows(comparison: Comparison) -> list[Row]:
    """Return every line of the comparison table, in reading order."""
    return [
        *_width_rows(comparison),
        *_speed_rows(comparison),
        *_memory_rows(comparison),
        *_classification_rows(comparison),
    ]


def to_csv(comparison: Comparison) -> str:
    """Return the rows as CSV at full precision; a figure that was not measured is empty.

    Text is guarded, so that no spreadsheet runs it; see :mod:`harness.cells`.
    """
    titles = line(field.name for field in fields(Row))
    return titles + "".join(line(astuple(row)) for row in rows(comparison))


def comparison_table(comparison: Comparison, style: str) -> str:
    """Return the comparison table in one of tabulate's styles (``simple``, ``github`` …)."""
    header = ["", "unit", "baseline", "candidate", "candidate against baseline"]
    names = [
        "",
        "",
        *(cell(arm_title(comparison, arm), style) for arm in ArmName),
        "",
    ]
    lines = [names]
    section = None
    for row in rows(comparison):
        if row.section != section:
            section = row.section
            lines.append([_strong(section, style), "", "", "", ""])
        lines.append(
            [
                row.quantity,
                row.unit,
                plain(row.baseline),
                plain(row.candidate),
                shown_change(row),
            ]
        )
    return tabulate(lines, headers=header, tablefmt=style, disable_numparse=True)


def gate_table(comparison: Comparison, style: str) -> str:
    """Return the gates with their decisions and reasons in one of tabulate's styles."""
    return gates_as_table(comparison.gates, style)


def gates_as_table(gates: Sequence[Gate], style: str) -> str:
    """Return any gates as a table; see :func:`gate_table`."""
    lines = [
        [gate.decision.value, cell(gate_title(gate), style), cell(gate.reason, style)]
        for gate in gates
    ]
    return tabulate(
        lines, headers=["decision", "gate", "why"], tablefmt=style, disable_numparse=True
    )


def gate_title(gate: Gate) -> str:
    """Return what a gate is called where it is shown."""
    return gate.name if gate.required else f"{gate.name} (not required)"


def plain_table(
    lines: Sequence[Sequence[str]],
    headers: Sequence[str],
    *,
    widths: Sequence[int | None] | None = None,
) -> str:
    """Return lines of text as a table for a terminal.

    ``widths``: most characters of each column, longer cells are wrapped; None: as many as it takes.
    """
    shown = [list(map(printable, cells)) for cells in lines]
    return tabulate(
        shown,
        headers=headers,
        tablefmt="simple",
        disable_numparse=True,
        maxcolwidths=None if widths is None else list(widths),
    )


def verdict_line(comparison: Comparison) -> str:
    """Return the verdict and its reason in one line; both as they are stored, not escaped."""
    return f"Verdict: {comparison.verdict.decision} - {comparison.verdict.reason}"


def arm_title(comparison: Comparison, arm: ArmName) -> str:
    """Return what an arm is, in one line; empty if it was not loaded."""
    spec = comparison.arms.get(arm)
    return "" if spec is None else f"{spec.name}, {spec.runtime}, {spec.dtype}"


def shown_change(row: Row) -> str:
    """Return the change of a row as text, with its interval if it has one."""
    if row.change is None:
        return ""
    if row.kind == "difference":
        return f"{row.change:+.3f}"
    interval = "" if row.lower is None else f" [{row.lower:.2f}, {row.upper:.2f}] faster"
    return f"{row.change:.2f}×{interval}"


def slowest_and_fastest(arm: Throughput) -> tuple[float, float]:
    """Return the residues per second of the slowest and of the fastest timed round."""
    rates = [
        residues / seconds
        for residues, seconds in zip(arm.residues_per_round, arm.seconds, strict=True)
    ]
    return min(rates), max(rates)


def round_ratios(speedup: Speedup) -> tuple[float, ...]:
    """Return how many times faster the candidate was in each paired round."""
    pairs = zip(speedup.baseline_s, speedup.candidate_s, strict=True)
    return tuple(before / after for before, after in pairs)


def mean_confusion(found: Classification) -> dict[str, float]:
    """Return the confusion matrix ``tp, fn, tn, fp`` of one arm, mean over its seeds."""
    return {
        key: fmean(getattr(seed, key) for seed in found.per_seed)
        for key in ("tp", "fn", "tn", "fp")
    }


def _width_rows(comparison: Comparison) -> Iterator[Row]:
    arms = [find(comparison.widths, arm=arm, source="data") for arm in ArmName]
    for part in ("protein", "dna", "merged"):
        values = [None if row is None else float(getattr(row, part)) for row in arms]
        label = "DNA" if part == "dna" else part
        yield _ratio_row("Widths", f"{label} width", "values", *values)
    parameters = [
        comparison.arms[arm].parameters if arm in comparison.arms else None for arm in ArmName
    ]
    yield _ratio_row(
        "Widths", "encoder parameters", "millions", *(_scaled(p, 1e6) for p in parameters)
    )


def _speed_rows(comparison: Comparison) -> Iterator[Row]:
    arms = [find(comparison.throughput, arm=arm) for arm in ArmName]
    for quantity in ("residues", "sequences"):
        values = [None if arm is None else float(getattr(arm, f"{quantity}_per_s")) for arm in arms]
        yield _ratio_row("Speed", "throughput, median round", f"{quantity}/s", *values)
    spreads = [None if arm is None else slowest_and_fastest(arm) for arm in arms]
    for place, quantity in enumerate(("slowest", "fastest")):
        values = [None if spread is None else spread[place] for spread in spreads]
        yield _ratio_row("Speed", f"throughput, {quantity} round", "residues/s", *values)
    paired = comparison.speedup
    yield Row(
        section="Speed",
        quantity="paired rounds, geometric mean",
        unit="s",
        baseline=None if paired is None else geometric_mean(paired.baseline_s),
        candidate=None if paired is None else geometric_mean(paired.candidate_s),
        change=None if paired is None else paired.ratio,
        kind="speed-up",
        lower=None if paired is None else paired.lower,
        upper=None if paired is None else paired.upper,
    )


def _memory_rows(comparison: Comparison) -> Iterator[Row]:
    arms = [find(comparison.memory, arm=arm) for arm in ArmName]
    for quantity, name in (
        ("host peak RSS", "host_peak_rss_bytes"),
        ("device peak, torch allocated", "device_peak_allocated_bytes"),
        ("device peak, torch reserved", "device_peak_reserved_bytes"),
        ("device in use, NVML", "nvml_used_bytes"),
    ):
        values = [None if arm is None else _scaled(getattr(arm, name), 2**20) for arm in arms]
        yield _ratio_row("Memory", quantity, "MiB", *values)


def _classification_rows(comparison: Comparison) -> Iterator[Row]:
    seen = dict.fromkeys((item.dataset, item.level) for item in comparison.classification)
    groups = list(seen) or [(dataset.name, "chunk") for dataset in comparison.spec.datasets]
    for dataset, level in groups:
        arms = [
            find(comparison.classification, dataset=dataset, level=level, arm=arm)
            for arm in ArmName
        ]
        for quantity, metric in SHOWN_METRICS:
            before, after = (None if arm is None else arm.mean[metric] for arm in arms)
            yield Row(
                section=f"Classification of {dataset}, per {level}",
                quantity=quantity,
                unit="",
                baseline=before,
                candidate=after,
                change=None if before is None or after is None else after - before,
                kind="difference",
            )


def _ratio_row(
    section: str, quantity: str, unit: str, before: float | None, after: float | None
) -> Row:
    ratio = after / before if before and after is not None else None
    return Row(section, quantity, unit, before, after, ratio, "ratio")


def _scaled(value: float | None, divisor: float) -> float | None:
    return None if value is None else value / divisor


def _strong(text: str, style: str) -> str:
    return f"**{escaped(text)}**" if style == MARKDOWN else printable(text.upper())
