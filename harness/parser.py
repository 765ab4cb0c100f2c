"""The whole command line of ``harness``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from harness import (
    attention_commands,
    choice_commands,
    classifier_commands,
    commands,
    embed_commands,
    parity_commands,
    plan_commands,
    selftest_commands,
    speed_commands,
    transfer_commands,
    tuning_commands,
)
from harness.arguments import (
    add_embedder,
    add_fasta,
    add_output,
    add_weights,
    numbers,
    part,
    positive,
)
from harness.report import printable

USAGE_ERROR = 2


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; the whole usage is one ``--help`` away."""

    def error(self, message: str) -> NoReturn:
        said = printable(message)  # it repeats what was typed, or pasted
        self.exit(USAGE_ERROR, f"{self.prog}: error: {said} (see {self.prog} --help)\n")


def build_parser() -> argparse.ArgumentParser:
    """Return the whole command line; also read by the tests and the docs."""
    parser = _Parser(
        prog="harness",
        description="Decides, on evidence, whether a protein embedder may be swapped.",
    )
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(
        name: str, run: Callable[[argparse.Namespace], int], summary: str, example: str
    ) -> argparse.ArgumentParser:
        sub = subparsers.add_parser(
            name,
            help=summary,
            description=summary,
            epilog=f"example: {example}",
        )
        sub.set_defaults(run=run)
        return sub

    _add_machine(command)
    embed_commands.add(command)
    classifier_commands.add(command)
    parity_commands.add(command)
    plan_commands.add(command)
    transfer_commands.add(command)
    attention_commands.add(command)
    tuning_commands.add(command)
    _add_runs(command)
    choice_commands.add(command)
    _add_speed(command)
    return parser


def _add_machine(command: Callable[..., argparse.ArgumentParser]) -> None:
    listing = command(
        "list", commands.list_embedders, "List embedders, runtimes, widths.", "harness list --json"
    )
    listing.add_argument("--json", action="store_true", help="print JSON")

    doctor = command(
        "doctor",
        commands.doctor,
        "Say what works on this machine; exit 1 if what a run needs is missing.",
        "harness doctor migrations/esm2-3b_to_fastesm2-650.toml -o results",
    )
    doctor.add_argument(
        "spec", type=Path, nargs="?", metavar="SPEC.toml", help="a run to be ready for"
    )
    doctor.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("results"),
        metavar="DIR",
        help="where it would write (default: results)",
    )
    doctor.add_argument(
        "--sequences",
        type=positive,
        metavar="N",
        help="disk for so many (default: those of SPEC.toml's data, or 10,000)",
    )
    doctor.add_argument("--json", action="store_true", help="print JSON")


def _add_runs(command: Callable[..., argparse.ArgumentParser]) -> None:
    migrate = command(
        "migrate",
        commands.migrate,
        "Run a whole comparison; exit 0 only on PASS.",
        "harness migrate migrations/esm2-3b_to_fastesm2-650.toml --weights random -o results",
    )
    migrate.add_argument("spec", type=Path, metavar="SPEC.toml")
    migrate.add_argument("-o", "--output", type=Path, default=Path("results"), metavar="DIR")
    migrate.add_argument("--weights", help="hub, mini, random[:SEED] or a folder, for both arms")
    migrate.add_argument("--device", help="overrides the migration file's")
    migrate.add_argument("--layers", type=positive, help="cut the depth (random weights only)")

    selftest = command(
        "selftest",
        selftest_commands.run,
        "Plant faults and see whether the harness notices each; exit 1 if one goes unnoticed.",
        "harness selftest --embedder mini-candidate",
    )
    add_embedder(selftest, default="mini-candidate")
    selftest.add_argument("--weights", default="mini", help="mini (default), hub, or a folder")
    selftest.add_argument("--device", default="auto", help="auto (default), cpu, cuda, …")
    selftest.add_argument("--seed", type=int, default=0, help="of the made-up proteins (default 0)")
    selftest.add_argument("--json", action="store_true", help="print JSON")
    selftest.add_argument("-o", "--output", type=Path, metavar="JSON", help="also write it there")

    report = command(
        "report",
        commands.report_run,
        "Print the tables of a stored run and write CSV and report again.",
        "harness report results/demo-20261122T120000Z",
    )
    report.add_argument("run_dir", type=Path, metavar="RUN_DIR")

    check = command(
        "check",
        commands.check,
        "Compare one stored run with another; exit 1 on a regression.",
        "harness check results/today results/reference",
    )
    check.add_argument("current", type=Path, metavar="CURRENT")
    check.add_argument("baseline", type=Path, metavar="BASELINE")
    check.add_argument(
        "--tolerance",
        type=part,
        default=0.05,
        metavar="PART",
        help="of the throughput that may be lost, in parts of 1 (default: 0.05)",
    )
    check.add_argument("--json", action="store_true", help="print JSON")


def _add_speed(command: Callable[..., argparse.ArgumentParser]) -> None:
    sweep = command(
        "sweep",
        speed_commands.sweep,
        "Try token budgets, or batch sizes, and say which is best and which still fits.",
        "harness sweep proteins.faa.gz --embedder esm2-8m --runtime packed -o results/sweep",
    )
    add_fasta(sweep)
    add_embedder(sweep)
    tried = sweep.add_mutually_exclusive_group()
    tried.add_argument(
        "--budgets",
        type=numbers,
        default=[1024, 2048, 4096, 8192, 16384, 32768],
        metavar="N,N,…",
        help="tokens per batch (default: 1024 to 32768, doubled)",
    )
    tried.add_argument("--batch-sizes", type=numbers, metavar="N,N,…", help="with --length")
    sweep.add_argument("--length", type=positive, help="residues of every sequence")
    _add_timing(sweep, sequences=96, rounds=6)

    attribute = command(
        "attribute",
        speed_commands.attribute,
        "Split a migration's gain into smaller model, dtype and runtime.",
        "harness attribute proteins.faa.gz esm2-3b fastesm2-650 --weights random -o results/gain",
    )
    add_fasta(attribute)
    attribute.add_argument("baseline", metavar="BASELINE")
    attribute.add_argument("candidate", metavar="CANDIDATE")
    attribute.add_argument("--tokens-per-batch", type=positive, default=2048, metavar="N")
    _add_timing(attribute, sequences=48, rounds=8)


def _add_timing(sub: argparse.ArgumentParser, *, sequences: int, rounds: int) -> None:
    add_weights(sub)
    sub.add_argument("--layers", type=positive, help="cut the depth (random weights only)")
    sub.add_argument("--sequences", type=positive, default=sequences, help="of one round")
    sub.add_argument("--rounds", type=positive, default=rounds, help="that count, at least 2")
    add_output(sub, "a new folder for tables and plots")
