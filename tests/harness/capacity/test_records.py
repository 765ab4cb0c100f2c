"""Stored runs as evidence: the work that was timed is found again, and nothing else is taken."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from benchmarks import DEMO
from embedders import InputError, arithmetic_of
from harness import measure, provenance
from harness.capacity import (
    CALIBRATION_FILE,
    CALIBRATION_SCHEMA,
    CalibratedArm,
    Calibration,
    Choice,
    Observation,
    Records,
    Way,
    Work,
    fit,
    read_records,
    split,
    useful_work,
)
from harness.capacity.records import _rounds
from harness.results import read_comparison, to_json
from harness.spec import ArmName
from tests.bundled import proteins

RESULTS = DEMO.parents[1] / "results"
REFERENCE = RESULTS / "demo-reference"
CONTEST = RESULTS / "runtimes-cpu-8m"
LARGE = RESULTS / "runtimes-cpu-650m"

Edit = Callable[[dict[str, Any]], object]


def edited(source: Path, target: Path, edit: Edit) -> Path:
    target.mkdir(parents=True)
    name = "comparison.json" if (source / "comparison.json").exists() else "runtimes.json"
    document = json.loads((source / name).read_text(encoding="utf-8"))
    edit(document)
    (target / name).write_text(json.dumps(document), encoding="utf-8")
    return target


@pytest.fixture(scope="module")
def demo() -> Records:
    return read_records([REFERENCE])


@pytest.fixture(scope="module")
def contest() -> Records:
    return read_records([CONTEST])


def test_every_stored_run_is_read() -> None:
    found = read_records([RESULTS])
    assert found.troubles == ()
    assert {"runtimes-cpu-8m", "runtimes-cpu-650m"} <= {each.run for each in found.evidence}


def test_the_rounds_of_a_comparison_are_drawn_again_as_they_were_timed() -> None:
    run = read_comparison(REFERENCE)
    lengths: dict[str, list[int] | None] = {
        "proteins": [len(each) for each in proteins(1720).values()]
    }
    plain = replace(run.arms["candidate"], pads=False)  # so that work is that of the residues
    run = replace(run, arms=run.arms | {"candidate": plain})
    arithmetic = arithmetic_of("mini-candidate")
    assert arithmetic is not None
    token, _ = split(arithmetic)
    found = list(_rounds(run, ArmName.CANDIDATE, lengths))
    recorded = next(each for each in run.throughput if each.arm == "candidate")
    residues = [each.work.linear_flops / token - 2 * 96 for each in found]
    assert residues == list(recorded.residues_per_round)
    assert [each.seconds for each in found] == list(recorded.seconds)


@pytest.mark.parametrize("name", ["mini-baseline:fair-esm", "mini-candidate::bfloat16"])
def test_timed_rounds_predict_an_extraction_that_was_not_used_to_fit(
    demo: Records, name: str
) -> None:
    own = demo.newest(Choice.read(name))
    assert own is not None
    rounds = [each for each in own.observations if each.what.startswith("round")]
    whole = next(each for each in own.observations if each.what == "extraction of proteins")
    projected = fit(rounds).predict(whole.work)
    assert projected.value == pytest.approx(whole.seconds, rel=0.15)
    assert projected.lower is not None
    assert projected.upper is not None
    assert projected.lower <= whole.seconds <= projected.upper


def test_a_comparison_is_read_beside_the_suites_own_contest_of_runtimes(demo: Records) -> None:
    assert (REFERENCE / "runtimes.json").is_file()  # of another form than the script's
    assert {each.spec.name for each in demo.evidence} == {"mini-baseline", "mini-candidate"}


def test_the_first_extraction_of_an_arm_counts_as_cold(demo: Records) -> None:
    own = demo.newest(Choice.read("mini-baseline"))
    assert own is not None
    starts = {each.what: each.work.starts for each in own.observations if "extr" in each.what}
    assert starts == {"extraction of contigs": 1, "extraction of proteins": 0}


def test_the_work_of_a_contest_is_that_of_its_inputs(contest: Records) -> None:
    own = contest.newest(Choice.read("esm2-8m:packed:bfloat16"))
    arithmetic = arithmetic_of("esm2-8m")
    assert own is not None
    assert arithmetic is not None
    # what scripts/measure_runtimes.py drew: 4 rounds of warm-up and 8 that count, of 48 each
    lengths = [len(each) for each in proteins(1720).values()]
    drawn = measure.like_subsets(lengths, subsets=12, rows=48)[4:]
    way = Way(arithmetic, 4096, pads=False, window=1024)
    works = [useful_work(way, [lengths[row] for row in rows]) for rows in drawn]
    (found,) = {each.work for each in own.observations}
    assert found.linear_flops == pytest.approx(fmean(w.linear_flops for w in works), rel=0.02)
    assert found.attention_flops == pytest.approx(fmean(w.attention_flops for w in works), rel=0.05)


def test_of_several_kinds_of_attention_the_one_that_a_runtime_prefers_speaks(
    contest: Records,
) -> None:
    own = contest.newest(Choice.read("esm2-8m:packed:bfloat16"))
    assert own is not None
    assert own.spec.attention == "native"


def test_without_its_data_file_a_comparison_still_tells_one_rate(tmp_path: Path) -> None:
    def forget(document: dict[str, Any]) -> None:
        document["provenance"]["inputs"] = [
            [name, "0" * 64] for name, _ in document["provenance"]["inputs"]
        ]

    found = read_records([edited(REFERENCE, tmp_path / "run", forget)])
    own = found.newest(Choice.read("mini-baseline"))
    assert own is not None
    assert len(own.observations) == 6
    assert fit(own.observations).terms == ("all",)
    assert own.coverage.startswith("forward passes alone")


def test_a_depth_that_was_cut_is_no_evidence(tmp_path: Path) -> None:
    def cut(document: dict[str, Any]) -> None:
        for contest in document["contests"]:
            for spec in contest["specs"].values():
                spec["parameters"] //= 2

    assert read_records([edited(LARGE, tmp_path / "run", cut)]).evidence == ()


def test_joules_a_residue_become_watts(tmp_path: Path) -> None:
    def measured(document: dict[str, Any]) -> None:
        (contested,) = document["contests"]
        contested["joules_per_residue"] = dict.fromkeys(contested["joules_per_residue"], 0.5)
        for rate in contested["rates"]:
            rate["residues_per_s"] = 68.0

    (first, *_) = read_records([edited(LARGE, tmp_path / "run", measured)]).evidence
    assert first.watts == 34.0


def test_a_damaged_run_that_is_named_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "runtimes.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match=r"runtimes\.json"):
        read_records([tmp_path / "run"])


def test_a_damaged_run_among_others_is_left_out_and_told_of(tmp_path: Path) -> None:
    shutil.copytree(LARGE, tmp_path / "good")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "comparison.json").write_text('{"schema": "else"}', encoding="utf-8")
    found = read_records([tmp_path])
    assert len(found.evidence) == 2
    (trouble,) = found.troubles
    assert "comparison.json" in trouble


def test_a_folder_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        read_records([tmp_path / "nowhere"])


def test_a_key_of_a_wrong_type_is_named(tmp_path: Path) -> None:
    def spoil(document: dict[str, Any]) -> None:
        document["contests"][0]["sequences_per_round"] = "six"

    with pytest.raises(InputError, match="sequences_per_round"):
        read_records([edited(LARGE, tmp_path / "run", spoil)])


def test_a_calibration_comes_back_as_it_was_stored(tmp_path: Path, demo: Records) -> None:
    source = demo.evidence[0]
    observations = (Observation("a mix", Work(1e9, 1e8, 1), 2.0),)
    record = Calibration(
        CALIBRATION_SCHEMA,
        (CalibratedArm(source.spec, 2048, observations),),
        provenance.collect("measure", (), datetime.now(UTC)),
    )
    (tmp_path / CALIBRATION_FILE).write_text(to_json(record), encoding="utf-8")
    (found,) = read_records([tmp_path]).evidence
    assert found.observations == observations
    assert (found.spec, found.tokens_per_batch) == (source.spec, 2048)


def test_a_calibration_of_another_schema_is_refused(tmp_path: Path, demo: Records) -> None:
    source = demo.evidence[0]
    record = Calibration(
        "embedder-migration/calibration/9",
        (CalibratedArm(source.spec, 2048, ()),),
        provenance.collect("measure", (), datetime.now(UTC)),
    )
    (tmp_path / CALIBRATION_FILE).write_text(to_json(record), encoding="utf-8")
    with pytest.raises(InputError, match="calibration/9"):
        read_records([tmp_path])
