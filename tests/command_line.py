"""One command of ``harness`` by itself, without the others."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from types import ModuleType


def run_alone(module: ModuleType, *arguments: str) -> int:
    """Add the module's commands to a bare command line and run one of them."""
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()

    def command(
        name: str, run: Callable[..., int], summary: str, example: str
    ) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=summary, epilog=example)
        sub.set_defaults(run=run)
        return sub

    module.add(command)
    options = parser.parse_args(arguments)
    code: int = options.run(options)
    return code
