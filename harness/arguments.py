"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import argparse
from pathlib import Path

from harness import features


def seconds(text: str) -> float:
    """Read a number of seconds above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return value


def part(text: str) -> float:
    """Read a part of 1: at least 0 and below 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a part of 1, from 0 to below 1")
    return value


def positive(text: str) -> int:
    """Read a whole number of at least 1."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return value


def numbers(text: str) -> list[int]:
    """Read whole numbers of at least 1, separated by commas."""
    return [positive(each) for each in text.split(",")]


def budget(text: str) -> int | None:
    """Read a number of tokens; None for ``auto``."""
    if text == "auto":
        return None
    try:
        return positive(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}, nor auto") from None


def add_fasta(sub: argparse.ArgumentParser) -> None:
    """Add the FASTA file that is read."""
    sub.add_argument("fasta", type=Path, metavar="IN.fa[.gz]")


def add_embedder(sub: argparse.ArgumentParser, *, default: str | None = None) -> None:
    """Add what names an embedder in a runtime and a dtype; required unless there is a default."""
    sub.add_argument(
        "--embedder",
        required=default is None,
        default=default,
        metavar="NAME",
        help="see 'harness list'",
    )
    sub.add_argument("--runtime", help="default: the embedder's own")
    sub.add_argument("--dtype", help="float32, bfloat16 or float16 (CUDA only)")


def add_weights(sub: argparse.ArgumentParser) -> None:
    """Add where weights come from and where they go."""
    sub.add_argument("--weights", help="hub (default), mini, random[:SEED], or a folder")
    sub.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, …")


def add_output(parser: argparse.ArgumentParser, text: str) -> None:
    """Add the folder that is written."""
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help=text)


def add_format(parser: argparse.ArgumentParser) -> None:
    """Add the format of shards."""
    parser.add_argument(
        "--format",
        default="pt",
        choices=[each.value for each in features.Format],
        help="pt (default): the original pipeline's; safetensors: no pickle",
    )
