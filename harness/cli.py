"""The ``harness`` command: reads the command line, calls the library, prints what it found."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from classifier import ClassifierError
from embedders import InputError
from harness.parser import USAGE_ERROR, build_parser
from harness.report import printable

RESUMED = ("embed", "finetune", "finetune-judge", "merge")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns
    -------
    int
        0 done, or PASS; 1 FAIL; 2 bad usage or input, told in one line; 3 INCONCLUSIVE;
        130 interrupted.
    """
    options = build_parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except (InputError, ClassifierError) as error:
        _complain(options.command, str(error))
        return USAGE_ERROR
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _complain(options.command, f"{where}{error.strerror or error}")
        return USAGE_ERROR
    except KeyboardInterrupt:
        resumed = "; the same command goes on from there" if options.command in RESUMED else ""
        _complain(options.command, f"interrupted{resumed}")
        return 130


def _complain(command: str, message: str) -> None:
    line = printable(" ".join(message.split()))
    colour = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    label = "\033[31merror\033[0m" if colour else "error"
    print(f"harness {command}: {label}: {line}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
