"""The audit of the verdict: bisection finds its noise, and decisions are counted as they fall."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness import judge
from harness.evidence import Decision
from scripts import audit_verdict
from scripts.audit_verdict import Audit, Bench, Outcome, Plan

ROOT = Path(__file__).parents[2]
STORED = ROOT / "results" / "verdict-audit" / "audit.json"


@pytest.fixture(scope="module")
def bench() -> Bench:
    """Groups of rows; the classes lie apart in the two last columns, the protein half."""
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1], 120)
    groups = tuple(f"g{row // 10}" for row in range(240))
    contigs = tuple(f"c{row // 2}" for row in range(240))
    matrix = random.normal(0, 1, (240, 4))
    matrix[:, 2:] += 1.5 * (2 * labels[:, None] - 1)
    ids = tuple(f"r{row}" for row in range(240))
    examples = judge.Examples(ids, contigs, groups, labels)
    return Bench(torch.tensor(matrix, dtype=torch.float32), 2, examples, "fast")


def test_noise_moves_the_protein_half_alone_and_follows_its_seed(bench: Bench) -> None:
    first, again, other = (
        bench._noisy(Plan((0,), noise=1.0, noise_seed=seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first[:, :2], bench.matrix[:, :2])
    assert torch.equal(first, again)
    assert not torch.equal(first[:, 2:], other[:, 2:])
    moved = (first - bench.matrix)[:, 2:].std(dim=0) / bench.matrix[:, 2:].std(dim=0)
    assert torch.allclose(moved, torch.ones(2), atol=0.15)  # 240 draws: 5% for each standard error


def test_other_trainings_keep_the_folds_and_differ(bench: Bench) -> None:
    plain = bench.predictions(Plan((0, 1)))
    other = bench.predictions(Plan((0, 1), other_trainings=True))
    assert np.array_equal(plain.folds, other.folds)
    assert not np.array_equal(plain.probabilities, other.probabilities)


def test_the_same_plan_predicts_the_same(bench: Bench) -> None:
    first, again = (bench.predictions(Plan((3,))) for _ in range(2))
    assert np.array_equal(first.probabilities, again.probabilities)


class LossyPool:
    """A pool whose candidates lose 0.025 for each unit of noise, and no more than 0.05."""

    def map(self, _: object, plans: list[Plan]) -> Iterator[float]:
        return iter([0.8 - 0.05 * min(plan.noise, 2.0) / 2 for plan in plans])


def test_bisection_finds_the_noise_that_costs_what_is_wanted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a loss that grows by 0.025 for each unit of noise, 0.03 is at 1.2."""
    monkeypatch.setattr(audit_verdict, "_accuracies", lambda found: float(np.mean(list(found))))
    pool: Any = LossyPool()
    found = audit_verdict.find_noise(pool, 0.03, 1)
    assert abs(0.025 * found - 0.03) <= audit_verdict.CLOSE_ENOUGH
    with pytest.raises(SystemExit, match="no noise costs"):
        audit_verdict.find_noise(pool, 0.06, 1)


def shifted(found: judge.Predictions, rows: np.ndarray[Any, Any]) -> judge.Predictions:
    chances = found.probabilities.copy()
    chances[:, rows] = 1 - chances[:, rows]
    return replace(found, probabilities=chances)


def test_any_failing_endpoint_fails_and_all_passing_pass(bench: Bench) -> None:
    labels = bench.examples.labels
    right = np.tile(np.where(labels == 1, 0.9, 0.1).astype(np.float32), (3, 1))
    perfect = judge.Predictions(bench.examples, (0, 1, 2), np.zeros((3, 240), np.int64), right)
    same = audit_verdict.decide("d", perfect, perfect, 0.1)
    assert (same.decision, same.accuracy_lost) == (Decision.PASS, 0.0)
    half_lost = shifted(perfect, np.flatnonzero((labels == 1) & (np.arange(240) % 4 < 2)))
    worse = audit_verdict.decide("d", perfect, half_lost, 0.1)
    assert worse.decision is Decision.FAIL
    assert worse.accuracy_lost == pytest.approx(0.25)
    some_lost = shifted(perfect, np.flatnonzero((labels == 1) & (np.arange(240) % 40 < 2)))
    assert audit_verdict.decide("d", perfect, some_lost, 0.1).decision is Decision.INCONCLUSIVE


def outcome(decision: Decision) -> Outcome:
    return Outcome((0,), decision, 0.0, ())


def test_forbidden_decisions_are_counted_as_faults() -> None:
    outcomes = tuple(map(outcome, (Decision.PASS, Decision.FAIL, Decision.FAIL)))
    audit = Audit("identical", 0.01, 0.0, Decision.FAIL, outcomes)
    assert (audit.count(Decision.PASS), audit.faults) == (1, 2)
    assert replace(audit, forbidden=None).faults == 0
    assert "| identical | 0.01 | +0.000 | 1 | 2 | 0 | 2 (FAIL) |" in audit_verdict.audit_table(
        [audit]
    )


def test_stored_audit_found_no_fault_and_stands_in_the_documentation() -> None:
    document = json.loads(STORED.read_text("utf-8"))
    audits = [
        Audit(
            each["name"],
            each["margin"],
            each["noise"],
            None if each["forbidden"] is None else Decision(each["forbidden"]),
            tuple(
                Outcome((), Decision(one["decision"]), one["accuracy_lost"], ())
                for one in each["outcomes"]
            ),
        )
        for each in document["audits"]
    ]
    assert {len(each.outcomes) for each in audits} == {document["cases"]}
    assert not any(each.faults for each in audits)
    page = (ROOT / "docs" / "statistics.md").read_text("utf-8")
    table = audit_verdict.audit_table(audits)
    assert table in page, f"docs/statistics.md needs:\n{table}"
