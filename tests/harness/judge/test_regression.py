"""A later candidate is held against an earlier one, in pairs of rows where there are pairs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from embedders import InputError
from harness import judge
from harness.evidence import Decision
from harness.judge.predictions import Predictions
from harness.judge.regression import PARITY, WIDTH, regression_gates
from harness.judge.running_costs import HOST_MEMORY, SPEED
from harness.results import Comparison, Gate, ParityCheck
from harness.spec import ArmName, ClassificationPlan, Splits
from tests.harness.example_run import classification, comparison, without_classification
from tests.harness.judge.stored_runs import ROWS, predictions, stored_run

SENSITIVITY = "d: sensitivity per chunk"
SPECIFICITY = "d: specificity per chunk"


def gates(
    current: Comparison, earlier: Comparison, folders: tuple[Path, Path] | None = None
) -> dict[str, Gate]:
    return {gate.name: gate for gate in regression_gates(current, earlier, predictions=folders)}


def compared(folder: Path, earlier: Predictions, current: Predictions) -> dict[str, Gate]:
    """Store two runs and compare them."""
    runs = [stored_run(folder / name, made) for name, made in (("now", current), ("was", earlier))]
    return gates(runs[0], runs[1], (folder / "now", folder / "was"))


def test_a_run_against_itself_passes_every_gate(tmp_path: Path) -> None:
    run = stored_run(tmp_path / "run", predictions(missed=30))
    found = gates(run, run, (tmp_path / "run", tmp_path / "run"))
    assert {SENSITIVITY, SPECIFICITY, SPEED, HOST_MEMORY, WIDTH} <= set(found)
    assert {gate.decision for gate in found.values()} == {Decision.PASS}


def test_a_run_against_itself_passes_however_small_and_noisy_it_is(tmp_path: Path) -> None:
    few = predictions(groups=3)  # far fewer groups than an interval could decide on
    run = stored_run(tmp_path / "run", few)
    noisy = replace(run.throughput[1], seconds=(0.1, 0.9))
    run = replace(run, throughput=(noisy,))
    found = gates(run, run, (tmp_path / "run", tmp_path / "run"))
    assert {gate.decision for gate in found.values()} == {Decision.PASS}
    assert "byte for byte" in found[SENSITIVITY].reason


@pytest.mark.parametrize(
    ("missed", "decision"),
    # others are missed, and no more of them; just the margin of 0.05 more; four times that
    [(20, Decision.PASS), (50, Decision.INCONCLUSIVE), (140, Decision.FAIL)],
)
def test_the_interval_of_pairs_decides_on_a_rate(
    tmp_path: Path, missed: int, decision: Decision
) -> None:
    current = predictions(missed=missed, first_missed=20)
    found = compared(tmp_path, predictions(missed=20), current)
    gate = found[SENSITIVITY]
    assert gate.decision is decision
    assert gate.value == pytest.approx((20 - missed) / ROWS)
    assert gate.lower is not None
    assert gate.upper is not None
    assert gate.lower < (20 - missed) / ROWS < gate.upper
    assert "in pairs of 600 rows" in gate.reason
    assert found[SPECIFICITY].decision is Decision.PASS


def test_rows_are_paired_by_id_and_not_by_place(tmp_path: Path) -> None:
    made = predictions(missed=30)
    order = list(range(len(made.examples)))[::-1]
    names = made.examples
    turned = Predictions(
        examples=judge.Examples(
            tuple(names.ids[row] for row in order),
            tuple(names.contigs[row] for row in order),
            tuple(names.groups[row] for row in order),
            names.labels[order],
        ),
        seeds=made.seeds,
        folds=made.folds[:, order],
        probabilities=made.probabilities[:, order],
    )
    gate = compared(tmp_path, made, turned)[SENSITIVITY]
    assert gate.value == 0
    assert gate.decision is Decision.PASS


def test_a_better_candidate_passes(tmp_path: Path) -> None:
    gate = compared(tmp_path, predictions(missed=120), predictions())[SENSITIVITY]
    assert gate.decision is Decision.PASS
    assert gate.value == pytest.approx(120 / ROWS)


def test_too_few_groups_leave_the_question_open(tmp_path: Path) -> None:
    few = (predictions(groups=3), predictions(groups=3, missed=300))  # each group loses half
    gate = compared(tmp_path, *few)[SENSITIVITY]
    assert gate.upper is not None
    assert gate.upper < -0.05  # the interval alone would fail it
    assert gate.decision is Decision.INCONCLUSIVE
    assert "at least 6 are needed" in gate.reason


@pytest.mark.parametrize(
    ("current", "said"),
    [(predictions(seeds=(0, 7)), "seeds"), (predictions(shift=1), "folds")],
    ids=["seeds", "folds"],
)
def test_without_pairs_a_rate_is_never_passed(
    tmp_path: Path, current: Predictions, said: str
) -> None:
    gate = compared(tmp_path, predictions(), current)[SENSITIVITY]
    assert gate.decision is Decision.INCONCLUSIVE
    assert f"unpaired, since the runs differ in their {said}" in gate.reason
    assert gate.lower is None


def test_without_pairs_a_rate_can_fail(tmp_path: Path) -> None:
    current = predictions(seeds=(0, 7), missed=31)  # 0.0517 of 600
    gate = compared(tmp_path, predictions(), current)[SENSITIVITY]
    assert gate.decision is Decision.FAIL
    assert "unpaired" in gate.reason


def test_predictions_that_are_gone_leave_the_means(tmp_path: Path) -> None:
    was = stored_run(tmp_path / "was")
    now = stored_run(tmp_path / "now", predictions(missed=1))
    (tmp_path / "was" / was.classification[0].predictions).unlink()
    gate = gates(now, was, (tmp_path / "now", tmp_path / "was"))[SENSITIVITY]
    assert gate.decision is Decision.INCONCLUSIVE
    assert "was has no predictions/d-candidate.csv any more" in gate.reason


@pytest.mark.parametrize("side", ["now", "was"])
def test_predictions_that_were_changed_are_an_error(tmp_path: Path, side: str) -> None:
    runs = {name: stored_run(tmp_path / name) for name in ("now", "was")}
    file = tmp_path / side / runs[side].classification[0].predictions
    file.write_text(file.read_text("utf-8") + "\n", "utf-8")
    with pytest.raises(InputError, match=f"{side}.*was changed since the run"):
        gates(runs["now"], runs["was"], (tmp_path / "now", tmp_path / "was"))


def test_speed_alone_never_passes_a_run() -> None:
    run = replace(without_classification(), throughput=comparison().throughput)
    found = gates(run, run)
    assert found[SPEED].decision is Decision.PASS
    assert found[SENSITIVITY].decision is Decision.NOT_MEASURED
    assert judge.decide(list(found.values())).decision is Decision.INCONCLUSIVE


@pytest.mark.parametrize("missing", ["current", "earlier"])
def test_a_rate_that_one_run_lacks_is_not_measured(missing: str) -> None:
    runs = {"current": comparison(), "earlier": comparison()}
    runs[missing] = replace(runs[missing], classification=())
    found = gates(runs["current"], runs["earlier"])
    assert found[SENSITIVITY].decision is Decision.NOT_MEASURED
    assert found[SPECIFICITY].decision is Decision.NOT_MEASURED


def test_the_baseline_arm_is_not_what_is_compared(tmp_path: Path) -> None:
    was = stored_run(tmp_path / "was")
    slower = replace(was.throughput[0], seconds=(9.0, 9.0))
    worse = (*was.classification, classification(ArmName.BASELINE, 10))
    now = replace(was, throughput=(slower, was.throughput[1]), classification=worse)
    found = gates(now, was, (tmp_path / "was", tmp_path / "was"))
    assert {gate.decision for gate in found.values()} == {Decision.PASS}


def check(value: float, arm: str = "candidate") -> ParityCheck:
    return ParityCheck(arm, "agreement", "s", value, 1.0, at_least=False)


@pytest.mark.parametrize(
    ("before", "after", "decision"),
    [
        ((check(0),), (check(0.5),), Decision.PASS),
        ((check(0),), (check(2),), Decision.FAIL),
        ((check(2),), (check(0),), Decision.PASS),
        ((check(2),), (check(2),), Decision.INCONCLUSIVE),
        ((check(0),), (), Decision.NOT_MEASURED),
        ((check(0),), (check(2, "baseline"), check(0)), Decision.PASS),
        ((check(0, "both arms"),), (check(2, "both arms"),), Decision.FAIL),
    ],
)
def test_parity_fails_where_it_fails_now_and_did_not_before(
    before: tuple[ParityCheck, ...], after: tuple[ParityCheck, ...], decision: Decision
) -> None:
    run = comparison()
    found = gates(replace(run, parity=after), replace(run, parity=before))
    assert found[PARITY].decision is decision


@pytest.mark.parametrize(("width", "decision"), [(10, Decision.PASS), (11, Decision.FAIL)])
def test_a_width_that_is_no_longer_the_expected_one_fails(width: int, decision: Decision) -> None:
    earlier = comparison()  # 10 is expected and seen
    rows = (earlier.widths[0], replace(earlier.widths[1], protein=width))
    assert gates(replace(earlier, widths=rows), earlier)[WIDTH].decision is decision


def test_runs_that_answer_other_questions_are_refused() -> None:
    earlier = comparison()
    spec = earlier.spec
    hashed = replace(earlier.provenance, inputs=(("m.toml", "0"), ("p.faa", "1")))
    for current, said in (
        (replace(earlier, spec=replace(spec, classification=ClassificationPlan(folds=3))), "folds"),
        (replace(earlier, spec=replace(spec, splits=Splits(column="other"))), "grouping"),
        (replace(earlier, provenance=hashed), "data files"),
        (
            replace(
                earlier, spec=replace(spec, gates=replace(spec.gates, sensitivity_margin=0.01))
            ),
            "limits",
        ),
    ):
        with pytest.raises(InputError, match=f"{said}.* differ"):
            regression_gates(current, earlier)


def test_a_data_file_may_lie_elsewhere_and_the_migration_file_have_other_comments() -> None:
    earlier = comparison()
    inputs = [
        (("m.toml", "0"), ("old/p.faa", "1")),
        (("m.toml", "2"), ("p.faa", "1")),
    ]
    runs = [
        replace(earlier, provenance=replace(earlier.provenance, inputs=each)) for each in inputs
    ]
    assert gates(runs[0], runs[1])[SPEED].decision is Decision.PASS
