"""Measure what extraction costs around the embedder, and whether that grows with the input.

    python -m scripts.measure_extraction share --embedder fastesm2-650 --runtime packed \
        --weights random --dtype bfloat16 --tokens-per-batch 32768 --sequences 20000 --rounds 6
    python -m scripts.measure_extraction scaling --embedder mini-candidate --sequences 100000

``share`` times, in turn, ``extract`` into a fresh folder through a worker, as ``harness embed``
does it (reading, checking, cleaning, handing over, writing, hashing, flushing), and the bare
``embed`` of the same batches in this process. ``scaling`` times ``extract`` on 1,000 and on many
sequences, each in a process of its own, whose peak memory is then its own.

Starting processes and loading the model are in no figure. Sequences are the bundled proteins in
even steps of length, over and over under new ids, so that any number has the same mix of lengths.
"""

import argparse
import json
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from math import exp, log
from pathlib import Path
from statistics import fmean

import psutil
import torch

from benchmarks import DEMO
from embedders import Embedder, load
from embedders.batching import plan_batches
from harness.features import Worker, extract
from harness.features.embedding import entering
from harness.measure import host_peak_rss_bytes, interleave, speedup_in
from harness.measure.footprint import high_water_bytes
from harness.provenance import machine
from scripts.teacher import demo_sequences

CLOCK = "cpu"  # both arms give tensors on the CPU, so a device has nothing left to do by then
WARM_UP = 64  # sequences


def main() -> int:
    """Measure and print JSON."""
    options = _options()
    measures: dict[str, Callable[[argparse.Namespace], dict[str, object]]] = {
        "share": share,
        "scaling": scaling,
        "once": once,
    }
    found = measures[options.measure](options)
    print(json.dumps(found, indent=None if options.measure == "once" else 1))
    return 0


def share(options: argparse.Namespace) -> dict[str, object]:
    """Say which part of the bare forward rate extraction has, end to end."""
    sequences = _sequences(options.sequences)
    loader = _loader(options)
    bare = loader()
    batches = _batches(sequences, bare, options)
    with tempfile.TemporaryDirectory(dir=options.folder) as place, Worker(loader) as worker:
        fasta = _write(sequences, Path(place) / "in.fa")

        def end_to_end(number: int) -> None:
            _extract(fasta, worker, Path(place) / f"out-{number}", options)

        def forward(_: int) -> None:
            for batch in batches:
                bare.embed(batch, tokens_per_batch=options.tokens_per_batch)

        contest = interleave(
            {"forward": forward, "extract": end_to_end},
            rounds=options.rounds,
            device=CLOCK,
            max_warmup_rounds=options.warm_up_rounds,
        )
    ratio = speedup_in(contest, "forward", "extract")
    residues = sum(map(len, sequences))
    return _setting(options, bare) | {
        "sequences": len(sequences),
        "residues": residues,
        "batches": len(batches),
        "rounds": options.rounds,
        "warmup_rounds": contest.warmup_rounds,
        "steady": contest.steady,
        "seconds": contest.seconds,
        "residues_per_s": {
            arm: residues / fmean(seconds) for arm, seconds in contest.seconds.items()
        },
        "share_of_forward_rate": ratio.ratio,
        "interval_95": [ratio.lower, ratio.upper],
        "not_counted": "starting processes, loading the model, warm-up",
    }


def scaling(options: argparse.Namespace) -> dict[str, object]:
    """Compare time per sequence and peak memory of a large and a small input."""
    sizes = {"small": options.small, "large": options.sequences}
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in sizes}
    for number in range(options.rounds):
        for name in list(sizes) if number % 2 == 0 else list(sizes)[::-1]:
            runs[name].append(_once_elsewhere(sizes[name]))
    per_sequence = {
        name: [run["seconds"] / sizes[name] for run in each] for name, each in runs.items()
    }
    pairs = zip(per_sequence["large"], per_sequence["small"], strict=True)
    return _setting(options, None) | {
        "sequences": sizes,
        "seconds_per_sequence": per_sequence,
        "ratio_large_to_small": exp(fmean(log(large / small) for large, small in pairs)),
        "peak_rss_bytes": {name: max(run["rss"] for run in each) for name, each in runs.items()},
        "worker_peak_rss_bytes": {
            name: max(run["worker_rss"] for run in each) for name, each in runs.items()
        },
        "not_counted": f"starting processes, loading the model, {WARM_UP} sequences before",
    }


def once(options: argparse.Namespace) -> dict[str, object]:
    """Time one extraction in this process and say how much memory it took at most."""
    with (
        tempfile.TemporaryDirectory(dir=options.folder) as place,
        Worker(_loader(options)) as worker,
    ):
        warm = _write(_sequences(WARM_UP), Path(place) / "warm.fa")
        _extract(warm, worker, Path(place) / "warm", options)
        fasta = _write(_sequences(options.sequences), Path(place) / "in.fa")
        started = time.perf_counter()
        _extract(fasta, worker, Path(place) / "out", options)
        seconds = time.perf_counter() - started
        workers = psutil.Process().children(recursive=True)
        return {
            "seconds": seconds,
            "rss": host_peak_rss_bytes(),
            "worker_rss": max(_peak_rss_bytes(each.pid) for each in workers),
        }


def _once_elsewhere(sequences: int) -> dict[str, float]:
    """Run ``once`` with this command's own options; of an option given twice the last counts."""
    given = ["once" if each == "scaling" else each for each in sys.argv[1:]]
    command = [sys.executable, "-m", "scripts.measure_extraction", *given]
    command += ["--sequences", str(sequences)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _extract(fasta: Path, embedder: Embedder, out: Path, options: argparse.Namespace) -> None:
    summary = extract(
        fasta,
        embedder,
        out,
        tokens_per_batch=options.tokens_per_batch,
        shard_size=options.shard_size,
        progress=False,
    )
    if summary.rejected or summary.tokens_per_batch != options.tokens_per_batch:
        raise SystemExit(f"{summary.sentence()} {summary.events}: no fair comparison")


def _sequences(count: int) -> list[str]:
    """Return so many bundled proteins with the mix of lengths of all, in an order of chance."""
    known = sorted(demo_sequences(DEMO.parent / "data" / "proteins.faa.gz").values(), key=len)
    drawn = [known[place * len(known) // count] for place in range(count)]
    random.Random(0).shuffle(drawn)  # noqa: S311 - an order, no secret
    return drawn


def _batches(
    sequences: list[str], embedder: Embedder, options: argparse.Namespace
) -> list[list[str]]:
    """Return the batches that extraction makes of each of its windows."""
    batches: list[list[str]] = []
    for start in range(0, len(sequences), options.shard_size):
        window = [
            embedder.clean(each).residues for each in sequences[start : start + options.shard_size]
        ]
        lengths = [entering(embedder.spec, len(each)) for each in window]
        plan = plan_batches(lengths, options.tokens_per_batch, pads=embedder.spec.pads)
        batches.extend([window[row] for row in batch] for batch in plan)
    return batches


def _write(sequences: list[str], path: Path) -> Path:
    path.write_text("".join(f">s{n}\n{each}\n" for n, each in enumerate(sequences)), "ascii")
    return path


def _peak_rss_bytes(pid: int) -> int:
    """Return another process's peak resident set; what is resident now where that is not known."""
    return high_water_bytes(pid) or int(psutil.Process(pid).memory_info().rss)


def _loader(options: argparse.Namespace) -> Callable[[], Embedder]:
    return partial(
        load,
        options.embedder,
        runtime=options.runtime,
        weights=options.weights,
        dtype=options.dtype,
        device=options.device,
    )


def _setting(options: argparse.Namespace, embedder: Embedder | None) -> dict[str, object]:
    return {
        "measure": options.measure,
        "embedder": options.embedder if embedder is None else asdict(embedder.spec),
        "tokens_per_batch": options.tokens_per_batch,
        "shard_size": options.shard_size,
        "machine": machine().sentence(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("measure", choices=["share", "scaling", "once"])
    parser.add_argument("--embedder", default="mini-candidate")
    parser.add_argument("--runtime")
    parser.add_argument("--weights")
    parser.add_argument("--dtype")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--tokens-per-batch", type=int, default=4096)
    parser.add_argument("--shard-size", type=int, default=10_000)
    parser.add_argument("--sequences", type=int, default=2000, help="of scaling: the large input")
    parser.add_argument("--small", type=int, default=1000, help="of scaling: the small input")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--warm-up-rounds", type=int, default=4, help="of share, at most")
    parser.add_argument("--folder", type=Path, help="where to write; default: for temporary files")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
