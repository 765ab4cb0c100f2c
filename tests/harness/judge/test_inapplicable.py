"""What cannot be measured of an embedder is said in words, and never passes."""

from __future__ import annotations

from harness.evidence import Decision
from harness.judge.gate import decide, parity_gates
from harness.results import AGREEMENT, ParityCheck

CHECKS = [
    ParityCheck(arm, "batch and order", "n", value=0.0, limit=1e-5, at_least=False)
    for arm in ("baseline", "candidate", "both arms")
]


def test_an_arm_without_another_runtime_leaves_the_verdict_open() -> None:
    reason = "acme-x has one runtime only, torch, and nothing to be held against"
    gates = parity_gates(CHECKS, {f"candidate: {AGREEMENT}": reason})
    (open_gate,) = (gate for gate in gates if gate.decision is not Decision.PASS)
    assert open_gate.name == f"candidate: {AGREEMENT}"
    assert open_gate.decision is Decision.NOT_MEASURED
    assert open_gate.reason == f"not measured: {reason}"
    verdict = decide(gates)
    assert verdict.decision is Decision.INCONCLUSIVE
    assert AGREEMENT in verdict.reason


def test_without_a_reason_every_check_that_passed_is_enough() -> None:
    assert decide(parity_gates(CHECKS, {})).decision is Decision.PASS


def test_reasons_of_other_things_open_no_gate_of_parity() -> None:
    gates = parity_gates(
        CHECKS, {"candidate: roofline": "not known", "steps of the speed-up": "no"}
    )
    assert {gate.decision for gate in gates} == {Decision.PASS}
