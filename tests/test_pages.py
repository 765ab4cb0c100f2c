"""What a page says was measured stands in a stored record."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text("utf-8")


def record(*parts: str) -> Any:  # noqa: ANN401 - whatever the record is
    return json.loads(ROOT.joinpath("results", *parts).read_text("utf-8"))


def interval(found: dict[str, Any], digits: int) -> str:
    ratio, lower, upper = (f"{found[key]:.{digits}f}" for key in ("ratio", "lower", "upper"))
    return f"{ratio} [{lower}, {upper}]"


def test_a_million_rows() -> None:
    text, found = page("features-at-scale.md"), record("classifier-at-scale", "figures.json")
    for rows in (10_000, 100_000, 1_000_000):
        steps = [found[f"{rows} rows"][step] for step in ("merge", "train", "predict")]
        cells = [f"{it['seconds']:.1f} s, {it['peak_rss_bytes'] / 1e6:.0f} MB" for it in steps]
        assert f"| {rows:,} | {' | '.join(cells)} |" in text
        assert all(step["peak_rss_bytes"] <= 1.5e9 for step in steps)
    contest = found["in turn"]
    for what, ratio in contest["ratios"].items():
        rates = [f"{contest['rows_per_s'][f'{way}, {what}']:,.0f}" for way in ("original", "ours")]
        assert f"| {what}, rows/s | {' | '.join(rates)} | {interval(ratio, 2)} |" in text
    for run in found["to the end"]:
        ways = [run["original"], run["ours"]]
        cells = [
            f"{way['seconds']:.1f} s, {way['epochs']} epochs, accuracy {way['accuracy']:.4f}"
            for way in ways
        ]
        assert f"{' | '.join(cells)} | {ways[0]['seconds'] / ways[1]['seconds']:.0f} |" in text


def test_projections_of_runs_that_were_not_used_to_fit() -> None:
    text, checks = page("capacity.md"), record("projection", "projection.json")["checks"]
    assert len(checks) == 8
    for check in checks:
        projected = "{value:.1f} [{lower:.1f}, {upper:.1f}]".format(**check["projected"])
        measured = ", ".join(f"{seconds:.1f}" for seconds in check["measured_s"])
        told = f"{projected} | {measured} | {check['ratio']:.3f}"
        assert f"| {check['arm']} | {check['mix']} | {told} |" in text
        assert check["within_15_percent"]
        assert check["inside_interval"]


def test_ray_beside_one_process() -> None:
    text, found = page("scale-out.md"), record("scale-out", "scale-out.json")
    assert found["output"] == "equal, byte for byte"
    for part in ("whole_run", "after_the_first_windows"):
        one, ray = (f"{fmean(found[part]['seconds'][arm]):.1f} s" for arm in ("one process", "ray"))
        lower, upper = found[part]["interval_95"]
        assert f"| {one} | {ray} | {found[part]['ratio']:.3f} [{lower:.3f}, {upper:.3f}] |" in text


def test_what_attention_maps_cost() -> None:
    text = page("attention-maps.md")
    small, large = (record(run, "attention.json") for run in ("attention-cpu", "attention-650m"))
    for arm in small["contest"]["arms"]:
        cells = [cell for found in (small, large) for cell in attention_cost(found, arm)]
        assert f"| {arm} | {' | '.join(cells)} |" in text


def attention_cost(found: dict[str, Any], arm: str) -> tuple[str, str]:
    (memory,) = (each for each in found["memory"] if each["arm"] == arm)
    peak = (memory["host_peak_rss_bytes"] - memory["host_start_rss_bytes"]) / 2**20
    ratio = found["ratios"].get(arm)  # none of the first, against which the others are held
    return interval(ratio, 2) if ratio else "1", f"{peak:,.0f} MiB"


def test_the_choice_of_the_demo() -> None:
    text = page("choosing.md")
    shown = (ROOT / "results" / "choice-demo" / "choice.md").read_text("utf-8")
    names = [each["name"] for each in record("choice-demo", "choice.json")["standings"]]
    rows = [" ".join(line.split()) for line in shown.splitlines() if line.startswith("| ")]
    assert len(names) == 4
    for name in names:
        first = next(row for row in rows if row.startswith(f"| {name} |"))
        assert first in text


def test_fine_tuning_on_the_demo() -> None:
    text = page("fine-tuning.md")
    with (ROOT / "results" / "finetune-demo" / "pairs.csv").open(encoding="utf-8") as file:
        pairs = list(csv.DictReader(file))
    assert len(pairs) == 6
    for pair in pairs:
        figures = [f"{float(pair[key]):+.3f}" for key in ("difference", "lower", "upper")]
        assert f"| {figures[0]} [{figures[1]}, {figures[2]}] {pair['decision']} |" in text
    with (ROOT / "results" / "finetune-demo" / "trainings.csv").open(encoding="utf-8") as file:
        untouched = [row for row in csv.DictReader(file) if row["best_epoch"] == "0"]
    assert f"In {len(untouched)} of 10 fine-tunings" in text


CONTESTS = {
    "runtimes-cpu-8m": ("esm2-8m", "ESM2-8M, real weights"),
    "runtimes-cpu-650m": ("fastesm2-650", "FastESM2_650, random weights"),
}


@pytest.mark.parametrize("file", ["README.md", "docs/performance.md"])
def test_every_speed_follows_from_its_stored_record(file: str) -> None:
    text = (ROOT / file).read_text("utf-8")
    rows = [line for line in text.splitlines() if re.match(r"\| (ESM2-8M|FastESM2)", line)]
    expected = []
    for run, (checkpoint, title) in CONTESTS.items():
        document = record(run, "runtimes.json")
        assert f"`{document['provenance']['commit'][:7]}`" in text
        (contested,) = document["contests"]
        for rate in contested["rates"]:
            arm = rate["arm"].replace(checkpoint, title + ",", 1)
            told = f"{rate['residues_per_s']:,.0f} | {rate['utilisation']:.0%}"
            expected.append(f"| {arm} | {told} |")
        for figure in [*contested["pairs"], contested["control"]]:
            assert interval(figure, 3 if figure is contested["control"] else 2) in text
    assert rows == expected
