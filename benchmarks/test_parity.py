"""Whether each arm computes what it should, before its speed is worth knowing."""

from __future__ import annotations

from harness.migration import Migration
from harness.spec import ArmName


def test_arm_agrees_with_itself_and_with_the_other_library(
    migration: Migration, arm: ArmName
) -> None:
    checks = migration.parity(arm)
    assert checks
    assert not [f"{check.sentence} {check.value}" for check in checks if not check.passed]


def test_both_arms_carry_like_information(migration: Migration) -> None:
    checks = migration.similarity()
    assert not [f"{check.sentence} {check.value}" for check in checks if not check.passed]
