"""Measure what attention maps cost beside vectors alone, of equal proteins in one process.

    python -m scripts.measure_attention --embedder esm2-8m --weights FOLDER -o results/attention-cpu
    python -m scripts.measure_attention --embedder esm2-650m --weights random --sequences 2 \
        --rounds 4 -o results/attention-650m

The arms take turns on rounds of real proteins of about ``--residues``, one protein at a time in
each: vectors with SDPA, vectors with eager attention, head means of all layers kept in memory, all
heads and layers kept in memory, and all heads and layers written as ``harness attention`` does,
picture and hash included. Each is compared with the first by a paired ratio with its 95% interval.
Peak memory is measured in a process of its own for each arm.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path

import torch

from benchmarks import DEMO
from embedders import Cleaned, Embedder, EmbedderSpec, Heads, checkpoint, load, read_attention
from embedders.attention_maps import EAGER_ATTENTION, EAGER_RUNTIME, Selection
from harness import attention, measure, provenance
from harness.results import to_json
from scripts.teacher import demo_sequences

WARM_UP = 4
"""Rounds that do not count, at most."""

Work = Callable[[Embedder, str], torch.Tensor]


def vector(embedder: Embedder, sequence: str) -> torch.Tensor:
    """Embed and nothing else."""
    return embedder.embed([sequence])[0]


def means(embedder: Embedder, sequence: str) -> torch.Tensor:
    """Keep the mean of the heads of every layer until the pass is done."""
    return read_attention(embedder, sequence, heads=Heads.MEAN).vector


def whole(embedder: Embedder, sequence: str) -> torch.Tensor:
    """Keep every head of every layer until the pass is done."""
    return read_attention(embedder, sequence).vector


def written(embedder: Embedder, sequence: str) -> torch.Tensor:
    """Write every head of every layer as it is computed; return nothing of it."""
    spec = embedder.spec
    model = checkpoint(spec.name)
    plan = attention.Plan(
        model=model,
        records=(attention.Chosen("measured", 1, sequence),),
        selection=Selection(tuple(range(1, model.layers + 1))),
        dtype=spec.dtype,
    )
    with tempfile.TemporaryDirectory() as folder:
        attention.write_maps(plan, embedder, Path(folder), _origin(), progress=False)
    return torch.zeros(spec.width)


ARMS: dict[str, tuple[str, Work]] = {
    "vectors, sdpa": ("sdpa", vector),
    "vectors, eager": (EAGER_ATTENTION, vector),
    "head means": (EAGER_ATTENTION, means),
    "all heads in memory": (EAGER_ATTENTION, whole),
    "all heads in files": (EAGER_ATTENTION, written),
}


@dataclass(frozen=True)
class Reader:
    """An embedder that does an arm's work for each sequence."""

    embedder: Embedder
    work: Work

    @property
    def spec(self) -> EmbedderSpec:
        """What the embedder is."""
        return self.embedder.spec

    def clean(self, sequence: str) -> Cleaned:
        """Clean as the embedder does."""
        return self.embedder.clean(sequence)

    def embed(self, sequences: Sequence[str], *, tokens_per_batch: int = 1) -> torch.Tensor:
        """Do the work for one sequence after the other."""
        del tokens_per_batch  # one at a time, in every arm
        return torch.stack([self.work(self.embedder, each) for each in sequences])


def main() -> int:
    """Measure, print a line for each arm, and write what was found."""
    options = _options()
    started = datetime.now(UTC)
    options.output.mkdir(parents=True)
    inputs = _inputs(options)
    loaded = {how: _load(how, options) for how in ("sdpa", EAGER_ATTENTION)}
    arms = {name: Reader(loaded[how], work) for name, (how, work) in ARMS.items()}
    contest = measure.interleave(
        {name: partial(_round, arm, inputs) for name, arm in arms.items()},
        rounds=options.rounds,
        device=options.device,
        max_warmup_rounds=WARM_UP,
    )
    plain, *others = ARMS
    ratios = {name: measure.speedup_in(contest, name, plain) for name in others}
    longest = max(inputs[0], key=len)
    memory = [
        measure.measure_memory(
            partial(_reader, name, options), [longest], arm=name, tokens_per_batch=1
        )
        for name in ARMS
    ]
    print(
        f"{options.embedder} {options.dtype}: rounds of {options.sequences} proteins of about "
        f"{options.residues} residues, steady: {contest.steady}"
    )
    for peak in memory:
        added = (peak.host_peak_rss_bytes - peak.host_start_rss_bytes) / 2**20
        line = f"  {peak.arm:20s} {added:8,.0f} MiB above the imports"
        if peak.arm in ratios:
            found = ratios[peak.arm]
            line += f", {found.ratio:.2f}x the time [{found.lower:.2f}, {found.upper:.2f}]"
        print(line)
    document = {
        "residues": [[len(each) for each in taken] for taken in inputs],
        "contest": asdict(contest),
        "ratios": {name: asdict(each) for name, each in ratios.items()},
        "memory_residues": len(longest),
        "memory": [asdict(each) for each in memory],
        "specs": {how: asdict(each.spec) for how, each in loaded.items()},
        "provenance": asdict(provenance.collect(_command(), (), started)),
    }
    (options.output / "attention.json").write_text(to_json(document), encoding="utf-8")
    return 0


def _inputs(options: argparse.Namespace) -> list[list[str]]:
    """Return rounds of like lengths, of the proteins that are nearest to the length asked for."""
    rounds = options.rounds + WARM_UP
    nearest = sorted(
        demo_sequences(DEMO.parent / "data" / "proteins.faa.gz").values(),
        key=lambda each: abs(len(each) - options.residues),
    )[: options.sequences * rounds]
    subsets = measure.like_subsets(
        [len(each) for each in nearest], subsets=rounds, rows=options.sequences
    )
    return [[nearest[row] for row in subset] for subset in subsets]


def _round(reader: Reader, inputs: Sequence[Sequence[str]], number: int) -> torch.Tensor:
    return reader.embed(inputs[number])


def _load(how: str, options: argparse.Namespace) -> Embedder:
    return load(
        options.embedder,
        runtime=EAGER_RUNTIME,
        attention=how,
        weights=options.weights,
        device=options.device,
        dtype=options.dtype,
    )


def _reader(name: str, options: argparse.Namespace) -> Reader:
    how, work = ARMS[name]
    return Reader(_load(how, options), work)


@cache
def _origin() -> provenance.Provenance:
    return provenance.collect(_command(), (), datetime.now(UTC))


def _command() -> str:
    return f"python -m scripts.measure_attention {' '.join(sys.argv[1:])}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--embedder", required=True)
    parser.add_argument("--weights", help="default: the embedder's own")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--residues", type=int, default=350, help="of a protein, about")
    parser.add_argument("--sequences", type=int, default=8, help="of a round")
    parser.add_argument("--rounds", type=int, default=8, help="that count")
    parser.add_argument("-o", "--output", type=Path, required=True, help="a new folder")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
