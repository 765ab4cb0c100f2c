"""The cheapest of those that pass is named, at a level that all candidates share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness import judge
from harness.choice import CANDIDATES, Cost, Judged, Standing, choice_of
from harness.costs import Rate
from harness.evidence import Decision
from harness.judge import Multiplicity
from harness.results import EXIT_CODES, Memory
from tests.harness.choice.invented import Made, judged, origin, run_of, runs_of, spec

MIB = 2**20


def standing(found: Judged, name: str) -> Standing:
    return next(each for each in found.choice.standings if each.name == name)


def test_a_lone_candidate_is_decided_as_its_migration_is(tmp_path: Path) -> None:
    for missed in (0, 18, 20, 80):
        folder = tmp_path / str(missed)
        asked = spec("a")
        alone = run_of(Made("a", missed), asked, tmp_path / f"alone-{missed}")
        found = judged(asked, folder, Made("a", missed))
        assert found.comparisons["a"] == alone
        assert found.choice.standings[0].decision is alone.verdict.decision
        assert (found.choice.chosen == "a") == (alone.verdict.decision is Decision.PASS)
        assert EXIT_CODES[found.choice.verdict.decision] == EXIT_CODES[alone.verdict.decision]


def test_the_cheapest_of_those_that_pass_is_named_and_not_the_cheapest_of_all(
    tmp_path: Path,
) -> None:
    made = (Made("slow", faster=2), Made("worse", missed=80, faster=9), Made("good", faster=4))
    found = judged(spec("slow", "worse", "good"), tmp_path, *made).choice
    assert found.chosen == "good"
    assert found.verdict.decision is Decision.PASS
    assert [each.decision.value for each in found.standings] == ["PASS", "FAIL", "PASS"]
    assert found.standings[2].cost.value == pytest.approx(1 / 4, rel=0.01)


def test_one_that_passes_alone_need_not_pass_among_others(tmp_path: Path) -> None:
    """0.016 is below 0.025 and above 0.025 / 2, and Holm has nobody else pass first."""
    found = judged(spec("a", "b"), tmp_path, Made("a", missed=18), Made("b", missed=40))
    assert standing(found, "a").level == 0.025 / 2
    assert standing(found, "a").decision is Decision.INCONCLUSIVE
    assert found.choice.verdict.decision is Decision.INCONCLUSIVE
    assert found.choice.chosen is None


def test_under_holm_one_that_passes_makes_room_for_the_next(tmp_path: Path) -> None:
    made = (Made("a", missed=18), Made("b"))
    found = judged(spec("a", "b"), tmp_path / "holm", *made)
    assert [each.level for each in found.choice.standings] == [0.025, 0.0125]
    assert standing(found, "a").decision is Decision.PASS
    strict = spec("a", "b", multiplicity=Multiplicity.BONFERRONI)
    assert standing(judged(strict, tmp_path / "b", *made), "a").decision is Decision.INCONCLUSIVE


def test_every_interval_of_a_candidate_is_at_its_level(tmp_path: Path) -> None:
    found = judged(spec("a", "b"), tmp_path, Made("a"), Made("b", missed=40))
    run = found.comparisons["a"]
    assert {each.paired.alpha for each in run.endpoints} == {0.0125}
    assert run.speedup is not None
    assert run.speedup.confidence == 0.975
    assert run.spec.gates.alpha == 0.0125
    assert list(run.gates) == judge.gates_of(run)


def test_a_speedup_that_is_certain_enough_alone_may_not_be_among_others(tmp_path: Path) -> None:
    """Its one-sided p-value is 0.0165 by scipy's t-test: above 0.0125 and below 0.025."""
    noise = (1.0, 1.2, 0.9, 1.1)
    alone = judged(spec("a"), tmp_path / "1", Made("a", faster=1.45, noise=noise))
    two = judged(
        spec("a", "b"), tmp_path / "2", Made("a", faster=1.45, noise=noise), Made("b", missed=80)
    )
    assert standing(alone, "a").p_values["speed-up, paired"] == pytest.approx(0.01654, abs=1e-5)
    assert standing(alone, "a").decision is Decision.PASS
    assert standing(two, "a").decision is Decision.INCONCLUSIVE


def test_a_failed_audit_is_no_question_of_level(tmp_path: Path) -> None:
    found = judged(spec("a", "b"), tmp_path, Made("a", parity=False), Made("b"))
    assert standing(found, "a").p_value == 1
    assert standing(found, "a").decision is Decision.FAIL
    assert found.choice.chosen == "b"


def test_nobody_is_named_where_all_fail(tmp_path: Path) -> None:
    found = judged(spec("a", "b"), tmp_path, Made("a", missed=80), Made("b", faster=1.0)).choice
    assert found.verdict.decision is Decision.FAIL
    assert found.chosen is None
    assert found.rivals == ()


def test_one_undecided_leaves_the_choice_open(tmp_path: Path) -> None:
    found = judged(spec("a", "b"), tmp_path, Made("a", missed=80), Made("b", missed=24)).choice
    assert found.verdict.decision is Decision.INCONCLUSIVE
    assert "b" in found.verdict.reason


def test_a_sequence_does_not_ask_behind_one_that_does_not_pass(tmp_path: Path) -> None:
    asked = spec("a", "b", "c", multiplicity=Multiplicity.FIXED_SEQUENCE)
    found = judged(asked, tmp_path, Made("a"), Made("b", missed=24), Made("c", faster=9))
    assert [each.asked for each in found.choice.standings] == [True, True, False]
    assert standing(found, "c").decision is Decision.INCONCLUSIVE
    assert "not asked" in standing(found, "c").reason
    assert found.choice.chosen == "a"


def test_costs_whose_interval_holds_one_are_not_told_apart(tmp_path: Path) -> None:
    made = (Made("a", faster=2.0), Made("b", faster=2.005), Made("c", faster=1.5))
    found = judged(spec("a", "b", "c"), tmp_path, *made).choice
    assert found.chosen == "b"
    assert {each.name: each.told_apart for each in found.rivals} == {"a": False, "c": True}
    assert "not told apart from it by cost: a" in found.verdict.reason
    # two others share alpha
    assert found.confidence == 1 - 2 * 0.025 / 2


def test_the_first_of_the_file_is_named_of_equal_ones(tmp_path: Path) -> None:
    found = judged(spec("b", "a"), tmp_path, Made("b"), Made("a")).choice
    assert found.chosen == "b"
    assert [each.told_apart for each in found.rivals] == [False]


def memory(arm: str, peak: int | None) -> Memory:
    return Memory(arm, "cuda:0", 400 * MIB, 100 * MIB, peak, peak, None, None)


@pytest.mark.parametrize(
    ("peaks", "chosen", "apart"), [((60, 40), "b", True), ((50, 49.5), "b", False)]
)
def test_memory_is_counted_and_told_apart_from_two_per_cent_on(
    tmp_path: Path, peaks: tuple[float, float], chosen: str, apart: bool
) -> None:
    asked = spec("a", "b", cost=Cost.DEVICE_MEMORY)
    runs = runs_of(asked, tmp_path, Made("a"), Made("b"))
    for (name, run), peak in zip(runs.items(), peaks, strict=True):
        both = (memory("baseline", 100 * MIB), memory("candidate", int(peak * MIB)))
        runs[name] = replace(run, memory=both)
    found = choice_of(asked, runs, tmp_path, provenance=origin()).choice
    assert found.chosen == chosen
    assert [each.told_apart for each in found.rivals] == [apart]
    assert found.standings[0].cost.value == pytest.approx(peaks[0] / 100)


def test_nobody_is_named_by_a_cost_that_was_not_measured(tmp_path: Path) -> None:
    asked = spec("a", cost=Cost.DEVICE_MEMORY)
    found = judged(asked, tmp_path, Made("a")).choice
    assert found.standings[0].decision is Decision.PASS
    assert found.chosen is None
    assert found.verdict.decision is Decision.INCONCLUSIVE
    assert "device memory of a was not measured" in found.verdict.reason


def test_flops_are_those_of_a_residue(tmp_path: Path) -> None:
    asked = spec("a", cost=Cost.FLOPS)
    rates = (
        Rate("baseline", 100.0, 1.0, 4e9, 0.3, None),
        Rate("candidate", 300.0, 3.0, 6e9, 0.3, None),
    )
    runs = {"a": replace(runs_of(asked, tmp_path, Made("a"))["a"], rates=rates)}
    found = choice_of(asked, runs, tmp_path, provenance=origin()).choice
    assert found.standings[0].cost.value == pytest.approx((6e9 / 300) / (4e9 / 100))


def test_each_candidate_is_judged_from_the_predictions_in_its_own_folder(tmp_path: Path) -> None:
    asked = spec("a", "b")
    runs = runs_of(asked, tmp_path, Made("a"), Made("b", missed=80))
    places = [tmp_path / CANDIDATES / name for name in ("a", "b")]
    places[0].rename(tmp_path / "aside")
    places[1].rename(places[0])
    (tmp_path / "aside").rename(places[1])
    found = choice_of(asked, runs, tmp_path, provenance=origin()).choice
    assert [each.decision.value for each in found.standings] == ["FAIL", "PASS"]
