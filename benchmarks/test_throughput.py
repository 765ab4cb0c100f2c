"""How fast each arm embeds, by itself and against the other in paired rounds."""

from __future__ import annotations

from collections.abc import Callable

from pytest_benchmark.fixture import BenchmarkFixture

from harness.migration import Migration
from harness.spec import ArmName


def test_throughput(
    migration: Migration,
    arm: ArmName,
    benchmark: BenchmarkFixture,
    rounds_timer: Callable[[Callable[[int], object], int, int], list[float] | None],
) -> None:
    result = migration.efficiency.throughput(arm, rounds_timer, timer_name="pytest-benchmark")
    if result is None:  # --benchmark-disable: the work ran once, nothing was timed
        return
    assert result.residues_per_s > 0
    benchmark.extra_info.update(
        residues_per_s=result.residues_per_s,
        sequences_per_s=result.sequences_per_s,
        residues_per_round=list(result.residues_per_round),
        embedder=migration.arms.embedder(arm).spec.name,
        runtime=migration.arms.embedder(arm).spec.runtime,
        dtype=migration.arms.embedder(arm).spec.dtype,
    )


def test_paired_speedup_has_an_interval(migration: Migration) -> None:
    speedup = migration.efficiency.speedup()
    assert 0 < speedup.lower <= speedup.ratio <= speedup.upper


def test_timed_rounds_gave_the_vectors_that_the_arm_gives_otherwise(migration: Migration) -> None:
    migration.efficiency.speedup()
    checks = [
        check
        for checks in migration.found.parity.values()
        for check in checks
        if check.check == "outputs of timed rounds"
    ]
    assert len(checks) == len(ArmName)
    assert all(check.passed for check in checks)


def test_sequences_seen_before_are_not_embedded_faster(migration: Migration, arm: ArmName) -> None:
    check = migration.efficiency.repeats(arm)
    assert check.passed, f"{check.sentence} {check.value}"


def test_the_speedup_is_split_into_what_it_is_made_of(migration: Migration) -> None:
    found = migration.efficiency.attribution()
    assert (found is None) == (migration.spec.throughput.attribution_rounds == 0)
