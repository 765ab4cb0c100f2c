"""Every runtime on the candidate's weights, all in turn on equal rounds."""

from __future__ import annotations

from dataclasses import asdict
from importlib.util import find_spec

from pytest_benchmark.fixture import BenchmarkFixture

from embedders import RUNTIMES
from harness import speed
from harness.cells import table
from harness.costs import Contest, Rate
from harness.files import write_text_atomically
from harness.migration import Migration
from harness.results import to_json
from harness.spec import ArmName

DTYPES = ("float32", "bfloat16")
SEQUENCES = 24
"""Of one round: enough for the order of the runtimes, few enough for a minute on two cores."""
PEERS = {"esme": "esm-efficient: runs on CUDA alone (it imports flash_attn), and is not timed here"}
"""Modules of other packages that embed ESM-2, and what is to be said of them."""


def test_runtimes_side_by_side(migration: Migration, benchmark: BenchmarkFixture) -> None:
    plan = migration.spec.candidate
    arms = {
        f"{runtime} {dtype}": speed.Contender(
            migration.arms.in_runtime(ArmName.CANDIDATE, runtime, dtype),
            plan.tokens_per_batch,
            plan.layers,
        )
        for runtime in RUNTIMES
        for dtype in DTYPES
    }
    inputs = [each[:: max(1, len(each) // SEQUENCES)] for each in migration.arms.rounds()]

    ceilings = speed.measure_ceilings(each.embedder for each in arms.values())

    def contend() -> tuple[Contest, tuple[Rate, ...]]:
        return speed.side_by_side(arms, inputs, ceilings, rounds=4, max_warmup_rounds=1)

    contest, rates = benchmark.pedantic(contend, rounds=1)  # type: ignore[no-untyped-call]
    assert [rate.arm for rate in rates] == list(arms)
    assert all(rate.residues_per_s > 0 for rate in rates)
    rows = [asdict(rate) for rate in rates]
    document = {
        "contest": asdict(contest),
        "rates": rows,
        "ceilings": [asdict(each) for each in ceilings.values()],
        "attention": {name: each.embedder.spec.attention for name, each in arms.items()},
        "peers": {
            said: "installed" if find_spec(name) else "not installed"
            for name, said in PEERS.items()
        },
    }
    benchmark.extra_info["runtimes"] = {rate.arm: rate.residues_per_s for rate in rates}
    write_text_atomically(migration.folder / "runtimes.json", to_json(document))
    write_text_atomically(migration.folder / "runtimes.csv", table(rows))
