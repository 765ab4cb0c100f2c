"""The command ``plan``: what a run of any size will take, on both arms."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from embedders import InputError, Truncation
from harness import capacity, provenance
from harness.arguments import add_format, positive
from harness.features import DEFAULT_SHARD_SIZE, Format
from harness.files import fresh_folder, write_text_atomically
from harness.results import to_json
from harness.spec import Arm, ArmName, read_spec

BASELINE = "esm2-3b:fair-esm:float32"
CANDIDATE = "fastesm2-650:packed:bfloat16"
DNA = "dnabert-s"
RESULTS = Path("results")
PROTEINS_ALONE = "none"
TERA = 1e12


def add(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add ``harness plan`` to the command line."""
    sub = command(
        "plan",
        plan,
        "Say what a run of any size will take: time, energy, price and disk, for both arms.",
        "harness plan --sequences 1e9 --length 166 --devices 8 --price '2.50 EUR'",
    )
    sub.add_argument(
        "--sequences", metavar="N", help="1e9, 10_000_000, 10M … (default: those of --lengths-from)"
    )
    lengths = sub.add_mutually_exclusive_group(required=True)
    lengths.add_argument("--length", type=positive, metavar="N", help="residues of every sequence")
    lengths.add_argument(
        "--lengths-from", type=Path, metavar="IN.fa[.gz]", help="the mix of lengths of a file"
    )
    _add_arms(sub)
    _add_device(sub)
    add_format(sub)
    sub.add_argument("--json", action="store_true", help="print JSON")
    sub.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="a new folder for plan.json and plan.md"
    )


def _add_arms(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--spec", type=Path, metavar="SPEC.toml", help="a migration: both arms, DNA")
    shape = "NAME[:RUNTIME[:DTYPE]]"
    sub.add_argument("--baseline", metavar=shape, help=f"default: {BASELINE}")
    sub.add_argument("--candidate", metavar=shape, help=f"default: {CANDIDATE}")
    sub.add_argument(
        "--dna", metavar="NAME", help=f"embedder of the DNA half (default: {DNA}), or none"
    )
    sub.add_argument(
        "--truncation", choices=[each.value for each in Truncation], help="default: truncate"
    )


def _add_device(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--results",
        type=Path,
        nargs="+",
        metavar="DIR",
        help=f"stored runs, or folders of them (default: {RESULTS}, where there is one)",
    )
    sub.add_argument(
        "--device", metavar="NAME", help="cpu, cuda, or a part of the name of a stored run's device"
    )
    sub.add_argument(
        "--ceiling-tflops",
        nargs="+",
        metavar="[DTYPE=]X",
        help="of a device without stored runs: its largest matrix products, in TFLOP/s",
    )
    sub.add_argument(
        "--utilisation", nargs="+", metavar="[ARM=]X", help="useful part of the ceiling, 0 to 1"
    )
    sub.add_argument("--devices", type=positive, default=1, metavar="N", help="side by side")
    sub.add_argument(
        "--scaling-efficiency",
        type=_number,
        default=1.0,
        metavar="X",
        help="speed that each of them keeps (default: 1, all of it)",
    )
    sub.add_argument("--price", metavar="'X CURRENCY'", help="of one device for one hour")
    sub.add_argument("--power", type=_number, metavar="W", help="of one device at work, in watts")


def plan(options: argparse.Namespace) -> int:
    """Project both arms and print them beside each other."""
    started = datetime.now(UTC)
    question = _question(options)
    stated = capacity.Stated(
        ceilings={
            key: TERA * value
            for key, value in _named(options.ceiling_tflops, "--ceiling-tflops").items()
        },
        utilisations=_named(options.utilisation, "--utilisation", known=tuple(ArmName)),
    )
    records = capacity.Records()
    if not stated.ceilings:
        records = _records(options).on_device(options.device)
    for trouble in records.troubles:
        print(f"note: {trouble}", file=sys.stderr)
    fleet = capacity.Fleet(
        devices=options.devices,
        efficiency=options.scaling_efficiency,
        price=None if options.price is None else capacity.Price.read(options.price),
        watts=options.power,
    )
    folder = None if options.output is None else fresh_folder(options.output)
    inputs = tuple(each for each in (options.spec, options.lengths_from) if each is not None)
    found = capacity.compare(
        question.demand,
        {
            name: capacity.settle(name, choice, records, stated, options.device)
            for name, choice in question.arms.items()
        },
        fleet,
        provenance.collect(shlex.join(["harness", *sys.argv[1:]]), inputs, started),
    )
    document = to_json(found)
    if folder is not None:
        write_text_atomically(folder / "plan.json", document)
        write_text_atomically(folder / "plan.md", capacity.page(found))
    print(document.rstrip() if options.json else capacity.screen(found))
    return 0


@dataclass(frozen=True, slots=True)
class _Question:
    demand: capacity.Demand
    arms: Mapping[ArmName, capacity.Choice]


def _question(options: argparse.Namespace) -> _Question:
    """Put together what is asked, from the options and the migration file."""
    lengths = (
        capacity.read_lengths(options.lengths_from)
        if options.lengths_from is not None
        else capacity.Lengths.all_of(options.length)
    )
    if options.sequences is None and options.lengths_from is None:
        raise InputError("--length needs --sequences: how many there are of that length")
    count = lengths.sequences
    if options.sequences is not None:
        count = capacity.read_count(options.sequences)
    shape = Format(options.format)
    if options.spec is None:
        arms = {
            ArmName.BASELINE: capacity.Choice.read(options.baseline or BASELINE),
            ArmName.CANDIDATE: capacity.Choice.read(options.candidate or CANDIDATE),
        }
        dna, truncation, shard_size = DNA, Truncation.TRUNCATE, DEFAULT_SHARD_SIZE
    else:
        if options.baseline or options.candidate:
            raise InputError("--spec names both arms; leave --baseline and --candidate out")
        spec = read_spec(options.spec)
        arms = {name: _choice(options.spec, name, spec.arm(name)) for name in ArmName}
        dna, truncation = spec.dna.embedder, spec.embedding.truncation
        shard_size = spec.embedding.shard_size
    dna = options.dna or dna
    demand = capacity.Demand(
        sequences=count,
        lengths=lengths,
        truncation=Truncation(options.truncation or truncation),
        dna=None if dna == PROTEINS_ALONE else dna,
        shard_format=shape,
        shard_size=shard_size,
    )
    return _Question(demand, arms)


def _choice(file: Path, name: ArmName, arm: Arm) -> capacity.Choice:
    if arm.layers is not None:
        raise InputError(f"{file}: {name}.layers cuts the depth; a plan is of whole models")
    return capacity.Choice.of(arm.embedder, arm.runtime, arm.dtype)


def _records(options: argparse.Namespace) -> capacity.Records:
    if options.results is not None:
        return capacity.read_records(options.results)
    return capacity.read_records([RESULTS]) if RESULTS.is_dir() else capacity.Records()


def _named(values: list[str] | None, option: str, known: tuple[str, ...] = ()) -> dict[str, float]:
    """Read ``X`` and ``KEY=X``; a figure without a key has the key ``""``."""
    found: dict[str, float] = {}
    for text in values or ():
        key, _, number = text.rpartition("=")
        if key in found or (key and known and key not in known):
            allowed = f" of {', '.join(known)}" if known else ""
            raise InputError(f"{option} {text}: give each key{allowed} once")
        try:
            found[key] = float(number)
        except ValueError:
            raise InputError(f"{option} {text}: {number!r} is no number") from None
    return found


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None
