"""Measure one process against workers on Ray, on this machine, and compare what they write.

    python -m scripts.measure_scale_out --embedder esm2-8m --weights random --runtime packed \
        --sequences 8000 --shard-size 250 --rounds 4 -o results/scale-out
    python -m scripts.measure_scale_out --embedder esm2-8m --weights random --runtime packed \
        --sequences 60 --threads 1,2,3 -o results/threads

Both arms extract the same FASTA into a fresh folder, in turn. Two figures: the whole run, which
loads the embedder (on Ray once for the scout and once for each worker), and the time of the windows
after as many as there are workers, which is what a long run tends to. Starting Ray itself is
reported beside them. A round whose folders differ in a byte, the journal aside, ends the
measurement. With ``--threads`` nothing is timed: it says by how much the vectors of one process
differ between numbers of threads, which is what workers have fewer of.

Sequences are the bundled proteins in even steps of length, as in ``measure_extraction``.
"""

import argparse
import json
import platform
import random
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import fmean

import torch

from benchmarks import DEMO
from embedders import Embedder, load
from harness.arguments import numbers
from harness.cluster import RayEngine
from harness.cluster.session import joined
from harness.features import JOURNAL_FILE, Engine, OneEmbedder, Worker, extract_by
from harness.features.embedding import embed_rows
from harness.features.making import Job, Made
from harness.features.store import LOCK_FILE
from harness.files import fresh_folder, write_text_atomically
from harness.measure import interleave, speedup_in
from harness.measure.contest import summarise_pairs
from harness.provenance import machine
from scripts.teacher import demo_sequences

LOCAL, RAY = "one process", "ray"


class Watched:
    """An engine whose windows are timed as they come, but for the first ``start`` of them.

    Workers that begin together give their first windows together, so that counting from the very
    first one would flatter them.
    """

    def __init__(self, engine: Engine, start: int) -> None:
        self._engine = engine
        self._start = start
        self.spec = engine.spec
        self.clean = engine.clean
        self.find_budget = engine.find_budget
        self.take_events = engine.take_events
        self.came: list[float] = []

    def make(self, job: Job, settled: Callable[[int], object]) -> Generator[Made, None, None]:
        """Yield the windows of the engine."""
        for made in self._engine.make(job, settled):
            self.came.append(time.perf_counter())
            yield made

    @property
    def seconds(self) -> float:
        """From the last window of the start to the last of all."""
        return self.came[-1] - self.came[self._start - 1]


def main() -> int:
    """Measure, write ``scale-out.json`` and print it."""
    options = _options()
    if options.threads:
        return _write(fresh_folder(options.output) / "threads.json", _by_threads(options))
    if options.sequences <= options.workers * options.shard_size:
        raise SystemExit(
            "give more windows than workers: more --sequences, or a smaller --shard-size"
        )
    folder = fresh_folder(options.output)
    started = time.perf_counter()
    with joined(None), tempfile.TemporaryDirectory(dir=folder) as place:
        ray_start_s = time.perf_counter() - started
        found = _measure(options, Path(place)) | {"ray_start_seconds": ray_start_s}
    return _write(folder / "scale-out.json", found)


def _write(path: Path, found: dict[str, object]) -> int:
    text = json.dumps(found, indent=1) + "\n"
    write_text_atomically(path, text)
    print(text, end="")
    return 0


def _by_threads(options: argparse.Namespace) -> dict[str, object]:
    """Compare one process with itself."""
    texts = _texts(options.sequences)
    embedder = _loader(options)()
    residues = [embedder.clean(text).residues for text in texts]
    made = {}
    for threads in options.threads:
        torch.set_num_threads(threads)
        made[threads] = embed_rows(residues, embedder, options.tokens_per_batch).matrix
    first = made[options.threads[0]]
    largest = {threads: float((each - first).abs().max()) for threads, each in made.items()}
    return {
        "embedder": asdict(embedder.spec),
        "sequences": len(texts),
        "tokens_per_batch": options.tokens_per_batch,
        "largest_difference_to_the_first": largest,
        "equal_bits": {threads: torch.equal(each, first) for threads, each in made.items()},
        "machine": machine().sentence(),
    }


def _measure(options: argparse.Namespace, place: Path) -> dict[str, object]:
    texts = _texts(options.sequences)
    fasta = place / "in.fa"
    fasta.write_text("".join(f">s{n}\n{text}\n" for n, text in enumerate(texts)), "ascii")
    between: dict[str, list[float]] = {LOCAL: [], RAY: []}

    def run(arm: str, number: int) -> None:
        out = place / f"{arm}-{number}"
        with _engine(arm, options) as engine:
            watched = Watched(engine, options.workers)
            extract_by(
                watched,
                fasta,
                out,
                tokens_per_batch=options.tokens_per_batch,
                shard_size=options.shard_size,
                progress=False,
            )
        between[arm].append(watched.seconds)
        other = place / f"{RAY if arm == LOCAL else LOCAL}-{number}"
        if other.exists() and _contents(out) != _contents(other):
            raise SystemExit(f"{out} and {other} differ: no fair comparison")

    contest = interleave(
        {arm: partial(run, arm) for arm in between},
        rounds=options.rounds,
        device="cpu",
        max_warmup_rounds=options.warm_up_rounds,
    )
    whole = speedup_in(contest, LOCAL, RAY)
    counted = {arm: seconds[-options.rounds :] for arm, seconds in between.items()}
    windows = summarise_pairs(list(zip(counted[LOCAL], counted[RAY], strict=True)))
    residues = sum(map(len, texts))
    return {
        "embedder": options.embedder,
        "runtime": options.runtime,
        "weights": options.weights,
        "dtype": options.dtype,
        "tokens_per_batch": options.tokens_per_batch,
        "workers": options.workers,
        "threads_of_one_process": torch.get_num_threads(),
        "sequences": len(texts),
        "residues": residues,
        "windows": -(-len(texts) // options.shard_size),
        "rounds": options.rounds,
        "warmup_rounds": contest.warmup_rounds,
        "steady": contest.steady,
        "output": "equal, byte for byte",
        "whole_run": {
            "seconds": contest.seconds,
            "ratio": whole.ratio,
            "interval_95": [whole.lower, whole.upper],
        },
        "after_the_first_windows": {
            "seconds": counted,
            "ratio": windows.ratio,
            "interval_95": [windows.lower, windows.upper],
        },
        "residues_per_s_of_whole_run": {
            arm: residues / fmean(seconds) for arm, seconds in contest.seconds.items()
        },
        "machine": machine().sentence(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "ray": version("ray"),
    }


def _texts(count: int) -> list[str]:
    """Return so many bundled proteins with the mix of lengths of all, in an order of chance."""
    known = sorted(demo_sequences(DEMO.parent / "data" / "proteins.faa.gz").values(), key=len)
    drawn = [known[place * len(known) // count] for place in range(count)]
    random.Random(0).shuffle(drawn)  # noqa: S311 - an order, no secret
    return drawn


def _engine(arm: str, options: argparse.Namespace) -> AbstractContextManager[Engine]:
    if arm == RAY:
        return RayEngine(_loader(options), workers=options.workers)
    return _one_process(Worker(_loader(options)))


def _loader(options: argparse.Namespace) -> Callable[[], Embedder]:
    return partial(
        load,
        options.embedder,
        runtime=options.runtime,
        weights=options.weights,
        dtype=options.dtype,
    )


@contextmanager
def _one_process(worker: Worker) -> Generator[Engine, None, None]:
    with worker:
        yield OneEmbedder(worker)


def _contents(folder: Path) -> dict[str, bytes]:
    kept = (each for each in folder.iterdir() if each.name not in (JOURNAL_FILE, LOCK_FILE))
    return {each.name: each.read_bytes() for each in kept}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--embedder", default="mini-candidate")
    parser.add_argument("--runtime")
    parser.add_argument("--weights")
    parser.add_argument("--dtype")
    parser.add_argument("--tokens-per-batch", type=int, default=4096)
    parser.add_argument("--shard-size", type=int, default=250)
    parser.add_argument("--sequences", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--warm-up-rounds", type=int, default=1, help="at most")
    parser.add_argument("--threads", type=numbers, metavar="N,N,…", help="compare these instead")
    parser.add_argument("-o", "--output", type=Path, required=True, help="a new folder")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
