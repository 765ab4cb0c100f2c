"""Project runs that were not used to fit, then make them, and say how far off the projection was.

    python -m scripts.check_projection -o results/projection

Every run is a whole ``harness embed`` in a process of its own, timed from its start to its end. Per
arm, some runs of three mixes of lengths and two of a few sequences (what starting takes) are stored
as ``calibration.json``, which ``harness plan --results`` reads as well. From that record alone,
runs of other mixes and one of five times as many sequences are projected; only then they are made.
Writes ``projection.json``, prints a table, and exits with 1 if one is more than 15% off.

Sequences are cut from the bundled proteins, one after the other, at lengths drawn evenly.
"""

from __future__ import annotations

import argparse
import random
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from math import exp, log
from pathlib import Path
from statistics import fmean

from benchmarks import DEMO
from embedders import EmbedderSpec, arithmetic_of
from harness import capacity, features, provenance, report
from harness.files import fresh_folder, write_text_atomically
from harness.progress import bar
from harness.results import to_json
from scripts.teacher import demo_sequences

SCHEMA = "embedder-migration/projection-check/1"
TOLERANCE = 0.15
FEW = 8
"""Sequences of a run that mostly starts."""


@dataclass(frozen=True)
class Arm:
    """One embedder, and the tokens of a run of some seconds on two cores."""

    name: str
    runtime: str
    dtype: str
    weights: str
    tokens_per_batch: int
    tokens: int


@dataclass(frozen=True)
class Mix:
    """Lengths drawn evenly from ``shortest`` to ``longest``, and how many times the tokens."""

    name: str
    shortest: int
    longest: int
    times: int = 1


ARMS = {
    arm.name: arm
    for arm in (
        Arm("mini-baseline", "fair-esm", "float32", "mini", 2048, 60_000),
        Arm("mini-candidate", "huggingface", "bfloat16", "mini", 4096, 200_000),
        Arm("esm2-8m", "packed", "bfloat16", "random", 4096, 60_000),
    )
}
DEFAULT_ARMS = ("mini-baseline", "esm2-8m")
"""One that pads in float32, one that does not in bfloat16; all three take half as long again."""
FITTED = (Mix("70-140", 70, 140), Mix("180-420", 180, 420), Mix("450-800", 450, 800))
HELD_OUT = (
    Mix("short, 50-100", 50, 100),
    Mix("medium, 150-350", 150, 350),
    Mix("long, 500-1000", 500, 1000),
    Mix("five times, 50-1000", 50, 1000, times=5),
)


@dataclass(frozen=True, slots=True)
class Check:
    """One run that was projected and then made; ``ratio`` is projected over measured seconds.

    ``measured_s`` holds its repeats, whose geometric mean the ratio takes.
    """

    arm: str
    mix: str
    sequences: int
    residues: int
    projected: capacity.Estimate
    measured_s: tuple[float, ...]
    ratio: float
    within_15_percent: bool
    inside_interval: bool


def main() -> int:
    """Calibrate, project, measure, and write what was found."""
    options = _options()
    started = datetime.now(UTC)
    folder = fresh_folder(options.output)
    source = "".join(demo_sequences(DEMO.parent / "data" / "proteins.faa.gz").values())
    arms = [ARMS[name] for name in options.arms]
    runs = len(arms) * (2 + (len(FITTED) + len(HELD_OUT)) * options.repeats)
    line = shlex.join(["python", "-m", "scripts.check_projection", *sys.argv[1:]])
    with tempfile.TemporaryDirectory() as place, bar(runs, "run") as shown:
        maker = _Maker(Path(place), source, options.scale, shown.update)
        calibration = capacity.Calibration(
            schema=capacity.CALIBRATION_SCHEMA,
            arms=tuple(_calibrate(arm, maker, options.repeats) for arm in arms),
            provenance=provenance.collect(line, (), started),
        )
        write_text_atomically(folder / capacity.CALIBRATION_FILE, to_json(calibration))
        checks = [
            check
            for arm in arms
            for check in _checks(arm, maker, options.repeats, capacity.read_records([folder]))
        ]
    document = {
        "schema": SCHEMA,
        "tolerance": TOLERANCE,
        "checks": [asdict(each) for each in checks],
        "provenance": asdict(provenance.collect(line, (), started)),
    }
    write_text_atomically(folder / "projection.json", to_json(document))
    print(_table(checks))
    off = sum(not each.within_15_percent for each in checks)
    inside = sum(each.inside_interval for each in checks)
    print(
        f"{len(checks) - off} of {len(checks)} within {TOLERANCE:.0%}, {inside} inside the "
        f"{capacity.CONFIDENCE:.0%} interval"
    )
    return 1 if off else 0


class _Maker:
    """Makes runs: a file of sequences, and the command that embeds it."""

    def __init__(self, place: Path, source: str, scale: float, done: Callable[[], object]) -> None:
        self._place = place
        self._source = source
        self._scale = scale
        self._done = done
        self._number = 0

    def lengths(self, arm: Arm, mix: Mix) -> list[int]:
        """Draw the lengths of a run."""
        draw = random.Random(mix.name)  # noqa: S311 - lengths, no secret
        wanted = arm.tokens * mix.times * self._scale
        drawn: list[int] = []
        while sum(drawn) < wanted:
            drawn.append(draw.randint(mix.shortest, mix.longest))
        return drawn

    def embed(self, arm: Arm, lengths: Sequence[int]) -> tuple[float, EmbedderSpec]:
        """Embed sequences of these lengths; return the seconds of the command, and what ran."""
        self._number += 1
        fasta = self._place / f"{self._number}.faa"
        out = self._place / f"{self._number}"
        fasta.write_text("".join(self._records(lengths)), encoding="ascii")
        command = [sys.executable, "-m", "harness.cli", "embed", str(fasta)]
        command += ["--embedder", arm.name, "--runtime", arm.runtime, "--dtype", arm.dtype]
        command += ["--weights", arm.weights, "--device", "cpu", "-o", str(out)]
        command += ["--tokens-per-batch", str(arm.tokens_per_batch)]
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.PIPE)
        seconds = time.perf_counter() - began
        self._done()
        spec = features.read_manifest(out).embedder
        if spec is None:
            raise SystemExit(f"{out}: does not say what embedded it")
        return seconds, spec

    def _records(self, lengths: Sequence[int]) -> Iterator[str]:
        start = 0
        for number, length in enumerate(lengths):
            if start + length > len(self._source):
                start = 0
            yield f">s{number}\n{self._source[start : start + length]}\n"
            start += length


def _work(arm: Arm, spec: EmbedderSpec, lengths: Sequence[int]) -> capacity.Work:
    arithmetic = arithmetic_of(arm.name)
    if arithmetic is None:
        raise SystemExit(f"{arm.name}: what it multiplies is not known")
    way = capacity.Way(arithmetic, arm.tokens_per_batch, spec.pads, spec.window_residues)
    return replace(capacity.executed_work(way, lengths), starts=1)


def _calibrate(arm: Arm, maker: _Maker, repeats: int) -> capacity.CalibratedArm:
    plan = [("few sequences", [200] * FEW)] * 2
    plan += [(mix.name, maker.lengths(arm, mix)) for _ in range(repeats) for mix in FITTED]
    observations = []
    for name, lengths in plan:
        seconds, spec = maker.embed(arm, lengths)
        observations.append(capacity.Observation(name, _work(arm, spec, lengths), seconds))
    return capacity.CalibratedArm(spec, arm.tokens_per_batch, tuple(observations))


def _checks(arm: Arm, maker: _Maker, repeats: int, records: capacity.Records) -> Iterator[Check]:
    """Project every held-out run from the stored record alone, then make it."""
    own = records.newest(capacity.Choice.of(arm.name, arm.runtime, arm.dtype))
    if own is None:
        raise SystemExit(f"{arm.name}: its calibration cannot be read back")
    found = capacity.fit(own.observations)
    for mix in HELD_OUT:
        lengths = maker.lengths(arm, mix)
        projected = found.predict(_work(arm, own.spec, lengths))
        measured = tuple(maker.embed(arm, lengths)[0] for _ in range(repeats))
        ratio = projected.value / exp(fmean(map(log, measured)))
        low, high = projected.lower or 0.0, projected.upper or float("inf")
        yield Check(
            arm=arm.name,
            mix=mix.name,
            sequences=len(lengths),
            residues=sum(lengths),
            projected=projected,
            measured_s=measured,
            ratio=ratio,
            within_15_percent=abs(ratio - 1) <= TOLERANCE,
            inside_interval=all(low <= each <= high for each in measured),
        )


def _table(checks: Sequence[Check]) -> str:
    rows = [
        [
            each.arm,
            each.mix,
            f"{each.sequences:,}",
            _seconds(each.projected),
            ", ".join(f"{one:.1f}" for one in each.measured_s),
            f"{each.ratio:.3f}",
            "yes" if each.within_15_percent else "NO",
            "yes" if each.inside_interval else "NO",
        ]
        for each in checks
    ]
    titles = ["arm", "run", "sequences", "projected, s", "measured, s", "projected / measured"]
    return report.plain_table(rows, [*titles, "within 15%", "inside"])


def _seconds(estimate: capacity.Estimate) -> str:
    if estimate.lower is None or estimate.upper is None:
        return f"{estimate.value:.1f}"
    return f"{estimate.value:.1f} [{estimate.lower:.1f}, {estimate.upper:.1f}]"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help="a new folder")
    parser.add_argument(
        "--arms",
        nargs="+",
        default=DEFAULT_ARMS,
        choices=sorted(ARMS),
        help=f"default: {' and '.join(DEFAULT_ARMS)}",
    )
    parser.add_argument("--repeats", type=int, default=2, help="of every run (default: 2)")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="times the sequences (default: 1), to try it out"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
