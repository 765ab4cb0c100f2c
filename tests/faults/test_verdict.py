"""Rows 60 to 63 of docs/promises.md: what cannot be told is not decided.

The first three go through a whole comparison here; the suite and the command do in
``tests/benchmarks/test_suite.py``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness import judge
from harness.cli import main
from harness.evidence import Decision, Endpoint
from harness.learnt import write_learnt
from harness.results import Gate
from harness.spec import Gates
from tests.harness.example_run import SPEC, comparison
from tests.harness.tuning.migrations import write_migration
from tests.harness.tuning.motifs import motifs

GATES = Gates(sensitivity_margin=0.05, specificity_margin=0.05)
SEEDS, FOLDS = 3, 4


def predictions(groups: int, seed: int) -> judge.Predictions:
    """Draw predictions, right four times in five, of 40 rows in each group."""
    rows = 40 * groups
    draw = np.random.default_rng(seed)
    labels = np.arange(rows, dtype=np.int64) % 2
    examples = judge.Examples(
        ids=tuple(f"r{row}" for row in range(rows)),
        contigs=tuple(f"r{row}" for row in range(rows)),
        groups=tuple(f"{'hv'[row % 2]}{row // 2 % groups}" for row in range(rows)),
        labels=labels,
    )
    right = draw.random((SEEDS, rows)) < 0.8
    chances = np.where(right == (labels == 1), 0.9, 0.1).astype(np.float32)
    folds = np.tile(np.arange(rows) % FOLDS, (SEEDS, 1))
    return judge.Predictions(examples, (0, 1, 2), folds, chances)


def endpoint_gates(
    baseline: judge.Predictions | None, candidate: judge.Predictions | None
) -> list[Gate]:
    """Judge whatever predictions there are."""
    run = comparison()
    both = {"baseline": baseline, "candidate": candidate}
    rates = [
        each
        for arm, found in both.items()
        if found is not None
        for each in judge.summarise(found, arm=arm, dataset="d", file="p.csv", sha256="0" * 64)
    ]
    paired: tuple[Endpoint, ...] = ()
    if baseline is not None and candidate is not None:
        paired = judge.paired_endpoints(baseline, candidate, dataset="d", gates=GATES)
    gates = judge.all_gates(
        replace(SPEC, gates=GATES),
        widths=run.widths,
        parity=run.parity,
        speedup=run.speedup,
        memory=run.memory,
        classification=rates,
        endpoints=paired,
        unclassified={},
    )
    return [gate for gate in gates if gate.name.startswith("d: ")]


def test_row_60_an_arm_without_predictions() -> None:
    for arms in ((predictions(20, 1), None), (None, predictions(20, 1)), (None, None)):
        gates = endpoint_gates(*arms)
        assert len(gates) == 2
        assert {gate.decision for gate in gates} == {Decision.NOT_MEASURED}
        assert judge.decide(gates).decision is Decision.INCONCLUSIVE


def test_row_61_too_few_genomes() -> None:
    for count, decisions in ((3, {Decision.INCONCLUSIVE}), (20, {Decision.PASS})):
        same = predictions(count, 1)
        gates = endpoint_gates(same, same)
        assert {gate.decision for gate in gates} == decisions
    few = endpoint_gates(predictions(3, 1), predictions(3, 2))
    assert {gate.decision for gate in few} == {Decision.INCONCLUSIVE}
    assert all("3 group(s)" in gate.reason for gate in few)
    assert judge.decide(few).decision is Decision.INCONCLUSIVE


def test_row_62_identical_predictions() -> None:
    same = predictions(20, 1)
    for gate in endpoint_gates(same, same):
        assert gate.value == 0
        assert gate.lower is not None
        assert gate.upper == -gate.lower
        assert 0 < gate.upper < 0.05
        assert gate.decision is Decision.PASS


def test_row_63_weights_that_know_the_labels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    proteins = motifs(12, seed=1)
    migration = write_migration(tmp_path, proteins)
    text = migration.read_text("utf-8")
    migration.write_text(text.replace("[candidate]", "[candidate]\nweights = '.'"), "utf-8")
    write_learnt(tmp_path, proteins.residues[3:4], start=None)
    monkeypatch.chdir(tmp_path)
    choice = tmp_path / "choice.toml"
    several = migration.read_text("utf-8").replace("[candidate]", "[[candidates]]\nname = 'one'")
    choice.write_text(several, "utf-8")
    for command, file in (("migrate", migration), ("transfer", migration), ("choose", choice)):
        assert main([command, str(file), "-o", str(tmp_path / "results")]) == 2
        said = capsys.readouterr().err
        assert "fine-tuned on 1 of the 12 proteins" in said
        assert "judge the candidate by other proteins" in said
        assert not list(tmp_path.glob("results/*"))
