"""The command ``choose``: several candidates for one place, and the cheapest that passes."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from harness import choice
from harness.arguments import positive
from harness.progress import announced, bars_wanted
from harness.results import EXIT_CODES


def add(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add ``harness choose`` to the command line."""
    sub = command(
        "choose",
        choose,
        "Compare several candidates with one baseline; exit 0 only if one is named.",
        "harness choose benchmarks/choice.toml -o results",
    )
    sub.add_argument("spec", type=Path, metavar="SPEC.toml")
    sub.add_argument("-o", "--output", type=Path, default=Path("results"), metavar="DIR")
    sub.add_argument("--weights", help="hub, mini, random[:SEED] or a folder, for all arms")
    sub.add_argument("--device", help="overrides the file's")
    sub.add_argument("--layers", type=positive, help="cut the depth (random weights only)")


def choose(options: argparse.Namespace) -> int:
    """Run a whole choice; the exit code says whether anyone is named."""
    selection = choice.Selection.prepare(
        options.spec,
        results=options.output,
        command=shlex.join(["harness", *sys.argv[1:]]),
        weights=options.weights,
        device=options.device,
        layers=options.layers,
        progress=bars_wanted(),
    )
    for _, step in announced(selection.steps()):
        step()
    found = selection.conclude()
    print(choice.screen(found, selection.folder))
    return EXIT_CODES[found.verdict.decision]
