"""Table, CSV and report show the figures of the JSON and nothing else."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest

from harness.report import comparison_table, markdown, rows, to_csv, verdict_line
from harness.results import to_json
from tests.harness.example_run import comparison, without_classification


def cells(table: str, quantity: str) -> list[str]:
    line = next(line for line in table.splitlines() if line.startswith(f"| {quantity} "))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_ratios_and_differences_follow_from_the_two_figures() -> None:
    for row in rows(comparison()):
        if row.change is None or row.baseline is None or row.candidate is None:
            continue
        if row.kind == "ratio":
            assert row.change == pytest.approx(row.candidate / row.baseline)
        elif row.kind == "speed-up":
            assert row.change == pytest.approx(row.baseline / row.candidate)
        elif row.kind == "difference":
            assert row.change == pytest.approx(row.candidate - row.baseline)


def test_rows_show_widths_speed_memory_and_rates() -> None:
    table = comparison_table(comparison(), "github")
    assert cells(table, "merged width")[2:4] == ["24", "14"]
    assert cells(table, "throughput, median round")[2:] == ["100", "200", "2.00×"]
    assert cells(table, "paired rounds, geometric mean")[2:] == [
        "1",
        "0.500",
        "2.00× [1.90, 2.10] faster",
    ]
    assert cells(table, "host peak RSS")[2:] == ["400", "300", "0.75×"]
    assert cells(table, "sensitivity")[2:] == ["0.910", "0.890", "-0.020"]


def test_what_was_not_measured_says_so_and_has_no_change() -> None:
    table = comparison_table(comparison(), "github")
    assert cells(table, "device peak, torch allocated")[2:] == ["not measured"] * 2 + [""]
    assert cells(table, "PR-AUC")[2:] == ["not measured"] * 2 + [""]
    bare = comparison_table(without_classification(), "github")
    assert cells(bare, "sensitivity")[2:] == ["not measured"] * 2 + [""]


def test_csv_has_full_precision_and_empty_cells() -> None:
    lines = list(csv.DictReader(io.StringIO(to_csv(comparison()))))
    by_name = {line["quantity"]: line for line in lines}
    assert by_name["device in use, NVML"]["baseline"] == ""
    assert float(by_name["sensitivity"]["change"]) == pytest.approx(0.89 - 0.91, abs=1e-15)
    assert len(lines) == len(rows(comparison()))


def test_report_begins_with_the_verdict_and_holds_every_confusion_matrix() -> None:
    page = markdown(comparison())
    assert verdict_line(comparison()) in page.split("## ")[0]
    for item in comparison().classification:
        for seed in item.per_seed:
            assert f"| {seed.tp} |" in re.sub(r" +", " ", page)


def test_every_hash_in_the_report_stands_in_the_json() -> None:
    stored = to_json(comparison())
    for digest in re.findall(r"\b[0-9a-f]{64}\b", markdown(comparison())):
        assert digest in stored
    assert json.loads(stored)["verdict"]["reason"] in markdown(comparison())
