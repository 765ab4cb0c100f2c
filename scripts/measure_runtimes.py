"""Measure what each runtime makes of the machine, all arms in turn in one process.

    python -m scripts.measure_runtimes cpu -o results/runtimes-cpu
    python -m scripts.measure_runtimes gpu -o results/runtimes-gpu      # under 8 minutes on an H100

Each contest interleaves its arms on equal rounds of real proteins with the demo's mix of lengths
and reports residues per second, the useful part of the matrix-product ceiling measured just before,
and the ratio of each pair that a claim is made of, with its 95% interval. Random weights cost what
real ones cost; ESM2-8M takes the folder of ``--weights`` (see ``tests/real_weights.py``).
``gpu`` first runs the tests marked ``gpu``, then also measures memory and profiles one batch.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import torch

from benchmarks import DEMO
from embedders import Embedder, load
from harness import measure, provenance, speed
from harness.costs import Ceiling
from harness.results import to_json
from scripts.teacher import demo_sequences

WINDOW = 1024


@dataclass(frozen=True)
class Arm:
    """One way to compute one checkpoint."""

    checkpoint: str
    runtime: str
    dtype: str
    tokens_per_batch: int
    attention: str | None = None

    def __str__(self) -> str:
        return " ".join(
            each for each in (self.checkpoint, self.runtime, self.attention, self.dtype) if each
        )


@dataclass(frozen=True)
class Plan:
    """One contest: arms, size, and the pairs (slow, fast) by their places among the arms."""

    title: str
    arms: tuple[Arm, ...]
    sequences: int
    rounds: int
    pairs: tuple[tuple[int, int], ...]
    max_warmup_rounds: int = 4


PLANS = {
    "cpu": (
        Plan(
            "ESM2-8M",
            (
                Arm("esm2-8m", "fair-esm", "float32", 2048),
                Arm("esm2-8m", "huggingface", "float32", 4096),
                Arm("esm2-8m", "huggingface", "bfloat16", 4096),
                Arm("esm2-8m", "packed", "float32", 4096),
                Arm("esm2-8m", "packed", "bfloat16", 4096, "sdpa"),
                Arm("esm2-8m", "packed", "bfloat16", 4096),
            ),
            sequences=48,
            rounds=8,
            pairs=((0, 5), (2, 5), (0, 3), (1, 3), (4, 5)),
        ),
        Plan(
            "650M",
            (
                Arm("fastesm2-650", "fair-esm", "float32", 2048),
                Arm("fastesm2-650", "packed", "bfloat16", 2048),
            ),
            sequences=6,
            rounds=6,
            pairs=((0, 1),),
            max_warmup_rounds=1,
        ),
    ),
    "gpu": (
        Plan(
            "650M in half precision",
            (
                Arm("fastesm2-650", "huggingface", "bfloat16", 32768),
                Arm("fastesm2-650", "packed", "bfloat16", 32768),
                Arm("fastesm2-650", "packed", "float16", 32768),
            ),
            sequences=512,
            rounds=10,
            pairs=((0, 1),),
            max_warmup_rounds=10,
        ),
        Plan(
            "the migration",
            (
                Arm("esm2-3b", "fair-esm", "float32", 2048),
                Arm("fastesm2-650", "fair-esm", "float32", 2048),
                Arm("esm2-3b", "packed", "bfloat16", 32768),
                Arm("fastesm2-650", "packed", "bfloat16", 32768),
            ),
            sequences=128,
            rounds=6,
            pairs=((0, 3), (0, 1), (0, 2), (1, 3)),
            max_warmup_rounds=2,
        ),
    ),
}


def main() -> int:
    """Run every contest of a plan and write what was found."""
    options = _options()
    started = datetime.now(UTC)
    device = "cuda" if options.plan == "gpu" else "cpu"
    if options.device:
        device = options.device
    options.output.mkdir(parents=True)
    proteins = list(demo_sequences(DEMO.parent / "data" / "proteins.faa.gz").values())
    document: dict[str, object] = {}
    if options.plan == "gpu" and not options.skip_tests:
        command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "tests"]
        document["gpu_tests_exit_code"] = subprocess.run(command, check=False).returncode
    sizes = (1024, 2048, 4096) if device == "cpu" else (4096, 8192, 16384)
    ceilings = {
        dtype: measure.gemm_ceiling(device, dtype, sizes=sizes)
        for dtype in sorted({arm.dtype for plan in PLANS[options.plan] for arm in plan.arms})
        if not (dtype == "float16" and device == "cpu")
    }
    document["ceilings"] = [asdict(each) for each in ceilings.values()]
    document["bandwidth"] = asdict(measure.bandwidth_ceiling(device))
    document["contests"] = [
        _contest(plan, proteins, ceilings, device, options)
        for plan in PLANS[options.plan]
        if not options.only or options.only in plan.title
    ]
    if options.plan == "gpu":
        document["memory"] = _memory(proteins, device, options)
        (options.output / "profile.txt").write_text(_profile(proteins, device, options))
    line = f"python -m scripts.measure_runtimes {' '.join(sys.argv[1:])}"
    document["provenance"] = asdict(provenance.collect(line, (), started))
    (options.output / "runtimes.json").write_text(to_json(document), encoding="utf-8")
    return 0


def _contest(
    plan: Plan,
    proteins: Sequence[str],
    ceilings: dict[str, Ceiling],
    device: str,
    options: argparse.Namespace,
) -> dict[str, object]:
    arms = [arm for arm in plan.arms if arm.dtype in ceilings]
    count = options.sequences or plan.sequences
    rounds = options.rounds or plan.rounds
    # as many distinct rounds as the proteins allow; then they come again, the same for every arm
    most = min(plan.max_warmup_rounds + rounds, len(proteins) // count)
    subsets = measure.like_subsets([len(each) for each in proteins], subsets=most, rows=count)
    inputs = [[proteins[row] for row in subset] for subset in subsets]
    contenders = {
        str(arm): speed.Contender(
            _load(arm, device, options), arm.tokens_per_batch, _layers(arm, options)
        )
        for arm in arms
    }
    contest, rates = speed.side_by_side(
        contenders, inputs, ceilings, rounds=rounds, max_warmup_rounds=plan.max_warmup_rounds
    )
    print(f"\n{plan.title}: {count} sequences a round, {rounds} rounds, steady: {contest.steady}")
    for arm, found in zip(arms, rates, strict=True):
        print(
            f"  {found.arm:44s} {found.residues_per_s:12,.0f} residues/s "
            f"{found.utilisation:6.1%} of {arm.dtype}'s ceiling"
        )
    pairs = []
    for slow, fast in plan.pairs:
        names = str(plan.arms[slow]), str(plan.arms[fast])
        if not set(names) <= set(contest.arms):
            continue
        ratio = measure.speedup_in(contest, *names)
        pairs.append({"slow": names[0], "fast": names[1], **asdict(ratio)})
        interval = f"{ratio.ratio:.2f}x [{ratio.lower:.2f}, {ratio.upper:.2f}]"
        print(f"  {names[0]} -> {names[1]}: {interval}")
    last = arms[-1]
    control = measure.control(
        partial(contenders[str(last)].embed, inputs),
        rounds=rounds,
        device=device,
        max_warmup_rounds=0,
    )
    print(
        f"  A/A control of {last}: {control.ratio:.3f} [{control.lower:.3f}, {control.upper:.3f}]"
    )
    energy = {
        name: measure.measure_energy(partial(each.embed, inputs, 0), device)
        for name, each in contenders.items()
    }
    return {
        "title": plan.title,
        "sequences_per_round": count,
        "contest": asdict(contest),
        "rates": [asdict(each) for each in rates],
        "pairs": pairs,
        "control": asdict(control),
        "joules_per_residue": {
            arm: None if each is None else each.joules / sum(min(len(s), WINDOW) for s in inputs[0])
            for arm, each in energy.items()
        },
        "specs": {name: asdict(each.embedder.spec) for name, each in contenders.items()},
    }


def _load(arm: Arm, device: str, options: argparse.Namespace) -> Embedder:
    return load(
        arm.checkpoint,
        runtime=arm.runtime,
        weights=str(options.weights) if _is_real(arm, options) else "random",
        dtype=arm.dtype,
        device=device,
        attention=arm.attention,
        layers=_layers(arm, options),
    )


def _layers(arm: Arm, options: argparse.Namespace) -> int | None:
    depth: int | None = options.layers
    return None if _is_real(arm, options) else depth


def _is_real(arm: Arm, options: argparse.Namespace) -> bool:
    return options.weights is not None and arm.checkpoint == "esm2-8m"


def _memory(proteins: Sequence[str], device: str, options: argparse.Namespace) -> dict[str, object]:
    arm = Arm("fastesm2-650", "packed", "bfloat16", 32768)
    loader: Callable[[], Embedder] = partial(
        load,
        arm.checkpoint,
        runtime=arm.runtime,
        weights="random",
        dtype=arm.dtype,
        device=device,
        layers=options.layers,
    )
    rows = proteins[: 256 if device != "cpu" else 8]
    total, split = measure.measure_memory_split(
        loader, rows, arm=str(arm), tokens_per_batch=arm.tokens_per_batch
    )
    return {"total": asdict(total), "split": asdict(split)}


def _profile(proteins: Sequence[str], device: str, options: argparse.Namespace) -> str:
    arm = Arm("fastesm2-650", "packed", "bfloat16", 32768)
    embedder = _load(arm, device, options)
    rows = proteins[: 256 if device != "cpu" else 8]
    embedder.embed(rows, tokens_per_batch=arm.tokens_per_batch)
    with torch.profiler.profile() as profile:
        embedder.embed(rows, tokens_per_batch=arm.tokens_per_batch)
    order = "self_cuda_time_total" if device != "cpu" else "self_cpu_time_total"
    table: str = profile.key_averages().table(sort_by=order, row_limit=25)
    return table


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("plan", choices=sorted(PLANS))
    parser.add_argument("-o", "--output", type=Path, required=True, help="a new folder")
    parser.add_argument("--weights", type=Path, help="folder with ESM2-8M; default: random weights")
    parser.add_argument("--only", help="contests whose title holds this")
    parser.add_argument("--sequences", type=int, help="a round, instead of the plan's")
    parser.add_argument("--rounds", type=int, help="instead of the plan's")
    parser.add_argument("--layers", type=int, help="cut the depth, to try the script out")
    parser.add_argument("--device", help="to try the gpu plan on a CPU")
    parser.add_argument("--skip-tests", action="store_true", help="gpu: leave the tests out")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
