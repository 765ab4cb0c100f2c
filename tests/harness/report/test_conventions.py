"""What other tools read of a run holds its measured figures and nothing else."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from statistics import geometric_mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedders import InputError
from harness.evidence import Calibration, Decision, Detail, Estimate, Secondary
from harness.report import suite_properties, write_step_summary, write_tables
from harness.report.conventions import (
    SUMMARY_BYTES,
    Figure,
    bencher_metrics,
    figures,
    fitting_summary,
    github_entries,
    write_conventions,
)
from harness.results import Comparison, Gate
from tests.harness.example_run import comparison, without_classification

MEASURE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def detailed() -> Comparison:
    """Return the example with an interval of one secondary metric and a calibration error."""
    detail = Detail(
        dataset="d",
        level="chunk",
        resamples=1000,
        confidence=0.95,
        secondary=(
            Secondary(
                metric="f1",
                baseline=Estimate(0.9, 0.85, 0.94),
                candidate=Estimate(0.9, 0.8, 0.95),
                difference=Estimate(0.0, -0.02, 0.02),
            ),
        ),
        calibration=(Calibration("candidate", 0.0, 0.03, ()),),
        operating_points=(),
        curves=(),
        strata=(),
        agreement=(),
        disagreements=(),
    )
    return replace(comparison(), details=(detail,))


def entries(run: Comparison) -> dict[str, dict[str, str | float]]:
    both = [
        *github_entries(run, bigger_is_better=True),
        *github_entries(run, bigger_is_better=False),
    ]
    return {str(entry["name"]): entry for entry in both}


def test_figures_of_both_arms_are_those_of_the_records() -> None:
    run = detailed()
    found = entries(run)
    assert found["example: baseline: residues-per-second"]["value"] == 100.0
    assert found["example: candidate: residues-per-second"]["value"] == 200.0
    assert found["example: candidate over baseline: paired-speed-up"]["value"] == 2.0
    assert found["example: candidate: seconds-per-paired-round"]["value"] == 0.5
    assert found["example: candidate: host-peak-rss-mib"]["value"] == 300.0
    assert found["example: candidate on d, per chunk: sensitivity"]["value"] == 0.89
    assert found["example: baseline on d, per chunk: roc-auc"]["value"] == 0.9
    assert found["example: baseline on d, per chunk: brier-score"]["value"] == 0.1


def test_what_is_better_when_bigger_and_what_when_smaller_are_in_files_of_their_own() -> None:
    bigger = {e["name"] for e in github_entries(detailed(), bigger_is_better=True)}
    smaller = {e["name"] for e in github_entries(detailed(), bigger_is_better=False)}
    assert not bigger & smaller
    assert all(re.search("second$|speed-up|per chunk", str(name)) for name in bigger)
    assert all(re.search("round$|mib$|brier-score$", str(name)) for name in smaller)


def test_intervals_are_those_of_the_records_and_say_what_they_are() -> None:
    found = entries(detailed())
    speedup = found["example: candidate over baseline: paired-speed-up"]
    assert speedup["range"] == "[1.9, 2.1]"
    assert "range: 95% interval" in str(speedup["extra"])
    f1 = found["example: candidate on d, per chunk: f1"]
    assert f1["range"] == "[0.8, 0.95]"
    assert "range: 95% interval" in str(f1["extra"])
    recall = found["example: candidate on d, per chunk: sensitivity"]
    assert recall["range"] == "[0.88, 0.9]"  # of the two seeds
    assert "range: lowest and highest of 2 retraining seeds" in str(recall["extra"])
    assert "range" not in found["example: candidate: host-peak-rss-mib"]


def test_seconds_and_rates_lie_in_the_range_of_their_rounds() -> None:
    run = comparison()
    alone = replace(run.throughput[1], seconds=(0.4, 0.5, 0.8), residues_per_round=(100,) * 3)
    paired = replace(run.speedup, candidate_s=(0.4, 0.8)) if run.speedup else None
    metrics = bencher_metrics(replace(run, throughput=(alone,), speedup=paired))
    rate = metrics["example: candidate"]["residues-per-second"]
    assert (rate["lower_value"], rate["upper_value"]) == (125.0, 250.0)
    seconds = metrics["example: candidate"]["seconds-per-paired-round"]
    assert seconds == {
        "value": geometric_mean([0.4, 0.8]),
        "lower_value": 0.4,
        "upper_value": 0.8,
    }


def test_a_figure_that_was_not_measured_is_absent() -> None:
    run = replace(without_classification(), memory=())
    assert figures(run) == ()
    assert github_entries(run, bigger_is_better=True) == []
    assert bencher_metrics(run) == {}
    told = json.dumps(bencher_metrics(comparison()))
    assert "pr-auc" not in told  # None in the example
    assert "device" not in told  # it ran on a CPU


def test_a_measured_zero_stays() -> None:
    found = bencher_metrics(detailed())
    assert found["example: candidate on d, per chunk"]["calibration-error"] == {"value": 0.0}


def test_figures_whose_ratios_mean_nothing_are_kept_from_the_action() -> None:
    difference = bencher_metrics(detailed())["example: candidate minus baseline on d, per chunk"]
    assert difference["sensitivity"]["value"] == -0.02
    assert difference["sensitivity"]["lower_value"] == pytest.approx(-0.07)
    assert not [name for name in entries(detailed()) if "minus" in name or "calibration" in name]


def test_names_are_unique_slugs_and_the_same_in_the_next_run() -> None:
    run = detailed()
    again = replace(run, run="example-2", speedup=None)
    names = [(each.bench, each.measure) for each in figures(run)]
    assert len(set(names)) == len(names)
    assert {(each.bench, each.measure) for each in figures(again)} < set(names)
    for each in figures(run):
        assert MEASURE.fullmatch(each.measure)
        assert len(each.measure) <= 64  # Bencher's limit


def test_a_figure_that_comes_twice_is_an_error() -> None:
    run = comparison()
    with pytest.raises(InputError, match="measured twice in example-1"):
        figures(replace(run, classification=run.classification * 2))


def test_an_interval_has_two_ends() -> None:
    with pytest.raises(InputError, match="one end"):
        Figure("b", "m", "s", 1.0, bigger_is_better=True, lower=0.5)


def test_the_files_are_strict_json_of_the_promised_forms(tmp_path: Path) -> None:
    def refuse(name: str) -> float:
        raise AssertionError(name)

    write_tables(detailed(), tmp_path)
    read = {
        path.name: json.loads(path.read_text("utf-8"), parse_constant=refuse)
        for path in (tmp_path / "ci").iterdir()
    }
    assert set(read) == {
        "github-bigger-is-better.json",
        "github-smaller-is-better.json",
        "bencher.json",
    }
    for name in ("github-bigger-is-better.json", "github-smaller-is-better.json"):
        for entry in read[name]:
            assert {"name", "unit", "value"} <= set(entry)
            assert set(entry) <= {"name", "unit", "value", "range", "extra"}
            assert isinstance(entry["value"], float)
            assert isinstance(entry["unit"], str)
            assert isinstance(entry.get("range", ""), str)
    for bench in read["bencher.json"].values():
        for metric in bench.values():
            assert set(metric) in ({"value"}, {"value", "lower_value", "upper_value"})


def test_a_figure_without_a_form_in_json_is_refused(tmp_path: Path) -> None:
    run = comparison()
    undefined = replace(run.throughput[0], residues_per_s=float("nan"))
    with pytest.raises(ValueError, match="strict JSON"):
        write_conventions(replace(run, throughput=(undefined,)), tmp_path)
    assert not list(tmp_path.rglob("*.json"))


def test_properties_tell_verdict_reason_folder_and_every_gate() -> None:
    gates = (
        Gate("speed-up, paired", 1.2, 1.5, 1.4, 1.6, Decision.PASS, "fine"),
        Gate("d: sensitivity per chunk", -0.05, None, None, None, Decision.NOT_MEASURED, "not"),
    )
    told = dict(suite_properties(replace(comparison(), gates=gates), Path("results/r")))
    assert told["verdict"] == "PASS"
    assert told["verdict.reason"] == "all 1 gates passed"
    assert told["run.folder"] == str(Path("results/r"))
    assert told["gate.speed-up, paired.decision"] == "PASS"
    assert float(told["gate.speed-up, paired.value"]) == 1.5
    assert told["gate.d: sensitivity per chunk.decision"] == "not measured"
    assert "gate.d: sensitivity per chunk.value" not in told


@given(text=st.text(st.sampled_from("aé\n|\U0001d538"), max_size=400), room=st.integers(0, 400))
def test_a_summary_fits_and_is_whole_or_says_that_it_is_not(text: str, room: int) -> None:
    shown = fitting_summary(text, room)
    assert len(shown) <= room
    if len(text.encode()) <= room:
        assert shown.decode() == text
    elif shown:
        head, _, notice = shown.decode().partition("\n\n*Cut here")
        assert notice
        assert text.startswith(head)


def test_the_summary_of_a_step_is_appended_to_within_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(target))
    target.write_text("before\n", "utf-8")
    write_step_summary(comparison())
    one = target.read_text("utf-8")
    assert one.startswith("before\n# example")
    target.write_bytes(b"x" * (SUMMARY_BYTES - 1000))
    write_step_summary(comparison())
    assert SUMMARY_BYTES - 1000 < target.stat().st_size <= SUMMARY_BYTES
    assert "Cut here" in target.read_text("utf-8")
    write_step_summary(comparison())
    assert target.stat().st_size <= SUMMARY_BYTES
