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
    result = migration.throughput(arm, rounds_timer, timer_name="pytest-benchmark")
    if result is None:  # --benchmark-disable: the work ran once, nothing was timed
        return
    assert result.residues_per_s > 0
    benchmark.extra_info.update(
        residues_per_s=result.residues_per_s,
        sequences_per_s=result.sequences_per_s,
        residues_per_round=list(result.residues_per_round),
        embedder=migration.embedder(arm).spec.name,
        runtime=migration.embedder(arm).spec.runtime,
        dtype=migration.embedder(arm).spec.dtype,
    )


def test_paired_speedup_has_an_interval(migration: Migration) -> None:
    speedup = migration.speedup()
    assert 0 < speedup.lower <= speedup.ratio <= speedup.upper
