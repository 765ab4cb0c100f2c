"""The suite as a user runs it, in a process of its own, on small data."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness import provenance
from harness.cli import main
from harness.evidence import Decision
from harness.migration import Migration
from harness.recomputation import contradictions
from harness.results import EXIT_CODES, Comparison, read_comparison
from harness.spec import ArmName

ROOT = Path(__file__).parents[2]
REAL = ROOT / "migrations" / "esm2-3b_to_fastesm2-650.toml"
INCONCLUSIVE = 3


def small_data(folder: Path) -> None:
    """Write 24 labelled records whose classes differ in composition, so that they can be told."""
    draw = random.Random(0)
    proteins, genes, labels = [], [], ["id,label,group"]
    for number in range(24):
        label = "viral" if number % 2 else "host"
        name = f"{label}{number}_chunk_1F1"
        letters = "MKTLLSAAVG" if number % 2 else "DEEKRNQPYF"
        proteins.append(f">{name}\n{''.join(draw.choices(letters, k=30 + number))}\n")
        genes.append(f">{name}\n{''.join(draw.choices('ACGT', k=90))}\n")
        labels.append(f"{name},{label},g{number}")
    (folder / "p.faa").write_text("".join(proteins), "utf-8")
    (folder / "n.fna").write_text("".join(genes), "utf-8")
    (folder / "l.csv").write_text("\n".join(labels) + "\n", "utf-8")


def small_spec(
    source: Path, folder: Path, *, sequences: int = 7, attribution_rounds: int = 0
) -> Path:
    """Copy a shipped migration file, its data and rounds made small, all else as shipped."""
    small_data(folder)
    text = source.read_text("utf-8")
    for pattern, value in [
        (r'proteins = ".*"', 'proteins = "p.faa"'),
        (r'nucleotides = ".*"', 'nucleotides = "n.fna"'),
        (r'labels = ".*"', 'labels = "l.csv"'),
        (r"\nsequences = \d+", f"\nsequences = {sequences}"),
        (r"\nrounds = \d+", "\nrounds = 2"),
        (r"warmup_rounds = \d+", "warmup_rounds = 1"),
        (r"attribution_rounds = \d+", f"attribution_rounds = {attribution_rounds}"),
        (r"folds = \d+", "folds = 3"),
        (r"seeds = \[.*\]", "seeds = [0, 1]"),
    ]:
        text, changed = re.subn(pattern, value, text)
        assert changed
    path = folder / "small.toml"
    path.write_text(text, "utf-8")
    return path


def baseline_as_candidate(text: str) -> str:
    """Return the text of the baseline's table under the candidate's name."""
    table = text.partition("[baseline]")[2].partition("\n[")[0]
    return f"[candidate]{table}"


def run_suite(folder: Path, spec: Path, *options: str) -> tuple[int, str, Path]:
    command = [sys.executable, "-m", "pytest", "benchmarks", "-q", "-p", "no:cacheprovider"]
    command += ["--migration", str(spec), "--results", str(folder / "results"), *options]
    # the suite refuses to time anything where these tests themselves run on several processes
    alone = {key: text for key, text in os.environ.items() if not key.startswith("PYTEST_XDIST")}
    done = subprocess.run(command, cwd=ROOT, env=alone, capture_output=True, text=True, check=False)
    runs = sorted((folder / "results").iterdir()) if (folder / "results").exists() else []
    return done.returncode, done.stdout + done.stderr, runs[-1] if runs else folder


def strict(path: Path) -> object:
    def refuse(name: str) -> float:
        raise AssertionError(f"{path} holds {name}")

    return json.loads(path.read_text("utf-8"), parse_constant=refuse)


def decisions(comparison: Comparison) -> dict[str, Decision]:
    return {gate.name: gate.decision for gate in comparison.gates}


def test_the_real_migration_with_random_weights_measures_all_but_classification(
    tmp_path: Path,
) -> None:
    spec = small_spec(REAL, tmp_path, sequences=2)
    own_json = tmp_path / "mine.json"
    code, shown, run = run_suite(
        tmp_path,
        spec,
        *("--weights", "random", "--layers", "2", "--device", "cpu"),
        *("--benchmark-json", str(own_json), "-k", "not host_memory"),  # the small run has it
    )
    assert code == INCONCLUSIVE, shown
    comparison = read_comparison(run)
    assert comparison.verdict.decision is Decision.INCONCLUSIVE
    by_source = {(row.source, row.arm): row for row in comparison.widths}
    assert by_source["data", "baseline"].merged == 136 + 2560
    assert by_source["data", "candidate"].merged == 136 + 1280
    merged = {row.merged for row in comparison.widths if row.source == "architecture"}
    assert merged == {2944, 1664, 3328, 2048}
    found = decisions(comparison)
    assert found["contigs: sensitivity per chunk"] is Decision.NOT_MEASURED
    assert found["peak device memory, ratio"] is Decision.NOT_MEASURED
    assert found["baseline: agreement with huggingface"] is Decision.PASS
    assert len(comparison.throughput) == 2
    assert "not measured" in shown
    for path in (own_json, run / "benchmark.json", run / "comparison.json"):
        assert strict(path)
    timed = strict(run / "benchmark.json")
    assert isinstance(timed, dict)
    rounds = {item["name"]: len(item["stats"]["data"]) for item in timed["benchmarks"]}
    # what contends does so inside one call
    assert rounds.pop("test_runtimes_side_by_side") == 1
    assert rounds.pop("test_classifier_is_fed_and_trained_from_shards") == 1
    assert set(rounds.values()) == {2}
    alone = [item for item in timed["benchmarks"] if item["name"] in rounds]
    rates = [item["extra_info"]["residues_per_s"] for item in alone]
    assert sorted(rates) == sorted(item.residues_per_s for item in comparison.throughput)


DEMO = ROOT / "benchmarks" / "demo.toml"


def test_a_whole_small_run_decides_and_a_second_one_overwrites_nothing(tmp_path: Path) -> None:
    spec = small_spec(DEMO, tmp_path, attribution_rounds=2)
    code, shown, first = run_suite(tmp_path, spec, "-k", "not classifier_is_fed")  # as above
    comparison = read_comparison(first)
    assert code == EXIT_CODES[comparison.verdict.decision], shown
    assert Decision.NOT_MEASURED not in decisions(comparison).values()
    assert len(comparison.classification) == 2 * 2
    assert str(first / "report.html") in shown
    assert comparison.attribution is not None
    assert comparison.roofline is not None
    assert {each.arm for each in comparison.memory_splits} == {"baseline", "candidate"}
    assert contradictions(comparison, first) == []
    before = {path: path.read_bytes() for path in first.rglob("*") if path.is_file()}
    _, _, second = run_suite(tmp_path, spec, "-k", "widths")
    assert second != first
    assert before == {path: path.read_bytes() for path in first.rglob("*") if path.is_file()}


def test_too_few_genomes_leave_the_question_open_and_the_run_whole(tmp_path: Path) -> None:
    spec = small_spec(DEMO, tmp_path)  # 3 folds
    labels = (tmp_path / "l.csv").read_text("utf-8")
    merged = re.sub(r"(,viral,)g\d+", r"\1one-phage", labels)
    (tmp_path / "l.csv").write_text(merged, "utf-8")
    code, shown, run = run_suite(tmp_path, spec, "-k", "classification")
    assert code == INCONCLUSIVE, shown
    comparison = read_comparison(run)
    reason = "1 viral group(s) cannot be spread over 3 folds"
    assert list(comparison.unclassified) == ["contigs", "proteins"]
    endpoints = [gate for gate in comparison.gates if "per chunk" in gate.name]
    assert len(endpoints) == 4
    for gate in endpoints:
        assert gate.decision is Decision.INCONCLUSIVE
        assert reason in gate.reason
    assert reason in (run / "report.md").read_text("utf-8")


def test_fewer_genomes_than_can_be_judged_have_an_interval_and_no_decision(
    tmp_path: Path,
) -> None:
    spec = small_spec(DEMO, tmp_path)
    labels = (tmp_path / "l.csv").read_text("utf-8").splitlines()
    lines = [re.sub(r",viral,g\d+$", f",viral,phage{n % 5}", line) for n, line in enumerate(labels)]
    (tmp_path / "l.csv").write_text("\n".join(lines) + "\n", "utf-8")
    migration = Migration.prepare(spec, results=tmp_path / "results", command="")
    for arm in ArmName:
        migration.retraining.classify("contigs", arm)
    gates = {gate.name: gate for gate in migration.conclude().gates}
    sensitivity = gates["contigs: sensitivity per chunk"]
    assert sensitivity.decision is Decision.INCONCLUSIVE
    assert "5 group(s)" in sensitivity.reason
    assert sensitivity.lower is not None
    assert sensitivity.upper is not None
    assert "group(s)" not in gates["contigs: specificity per chunk"].reason
    assert gates["proteins: specificity per chunk"].decision is Decision.NOT_MEASURED


def test_the_same_embedder_twice_has_finite_intervals_around_no_difference(
    tmp_path: Path,
) -> None:
    spec = small_spec(DEMO, tmp_path)
    text = spec.read_text("utf-8")
    twice = re.sub(r"(?s)\[candidate\].*?(?=\n\[dna\])", baseline_as_candidate(text), text)
    spec.write_text(twice, "utf-8")
    migration = Migration.prepare(spec, results=tmp_path / "results", command="")
    for arm in ArmName:
        migration.retraining.classify("contigs", arm)
    comparison = migration.conclude()
    assert len(comparison.endpoints) == 2
    for endpoint in comparison.endpoints:
        assert endpoint.paired.difference == 0
        assert endpoint.paired.lower is not None
        assert endpoint.paired.upper == -endpoint.paired.lower
        assert 0 < endpoint.paired.upper < 1
    found = [gate for gate in comparison.gates if gate.name.startswith("contigs: ")]
    assert Decision.FAIL not in {gate.decision for gate in found}


def test_only_residues_that_enter_the_model_are_counted(tmp_path: Path) -> None:
    spec = small_spec(DEMO, tmp_path)
    text = (tmp_path / "p.faa").read_text("utf-8")
    longer = text.splitlines()
    longer[1::2] = [line * 60 for line in longer[1::2]]  # 1,800 residues and more each
    (tmp_path / "p.faa").write_text("\n".join(longer) + "\n", "utf-8")
    migration = Migration.prepare(spec, results=tmp_path / "results", command="")
    found = migration.efficiency.throughput(
        ArmName.CANDIDATE, lambda *_: [1.0, 1.0], timer_name="none"
    )
    assert found is not None
    assert found.residues_per_round == (7 * 1024, 7 * 1024)


def test_the_command_runs_the_same_migration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = small_spec(DEMO, tmp_path)
    code = main(["migrate", str(spec), "-o", str(tmp_path / "results")])
    (run,) = (tmp_path / "results").iterdir()
    comparison = read_comparison(run)
    assert code == EXIT_CODES[comparison.verdict.decision]
    assert Decision.NOT_MEASURED not in decisions(comparison).values()
    assert [item.timer for item in comparison.throughput] == ["wall clock"] * 2
    shown = capsys.readouterr()
    assert comparison.verdict.reason in shown.out
    assert "classification of proteins by the candidate" in shown.err
    for item in comparison.classification:
        assert provenance.sha256(run / item.predictions) == item.predictions_sha256


@pytest.mark.parametrize(
    ("options", "timed"),
    [
        (["--benchmark-only", "-k", "not classifier_is_fed"], True),
        (["--benchmark-disable", "-k", "throughput or widths"], False),
        (["-k", "parity"], False),
    ],
    ids=["only", "disable", "k"],
)
def test_a_run_in_part_is_written_and_never_passes(
    tmp_path: Path, options: list[str], timed: bool
) -> None:
    code, shown, run = run_suite(tmp_path, small_spec(DEMO, tmp_path), *options)
    assert code == INCONCLUSIVE, shown
    comparison = read_comparison(run)
    assert bool(comparison.throughput) is timed
    assert Decision.NOT_MEASURED in decisions(comparison).values()
    assert (run / "comparison.csv").exists()


@pytest.mark.parametrize("option", ["--collect-only", "--help"])
def test_a_run_that_runs_nothing_leaves_nothing(tmp_path: Path, option: str) -> None:
    code, shown, _ = run_suite(tmp_path, small_spec(DEMO, tmp_path), option)
    assert code == 0, shown
    assert not list((tmp_path / "results").glob("*"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--migration", "none.toml"], "none.toml: cannot be read"),
        (["--weights", "randm"], "randm"),
    ],
)
def test_bad_usage_is_told_in_a_line(tmp_path: Path, options: list[str], words: str) -> None:
    code, shown, _ = run_suite(tmp_path, small_spec(DEMO, tmp_path), *options, "-k", "widths")
    assert code != 0
    assert words in shown
