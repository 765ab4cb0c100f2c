"""The command ``embed``: from a FASTA file to a folder of shards."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial

from embedders import RUNTIMES, Embedder, InputError, checkpoint, load
from harness import features, report
from harness.arguments import (
    add_embedder,
    add_fasta,
    add_format,
    add_output,
    add_weights,
    budget,
    positive,
    seconds,
)

EVENTS_SHOWN = 20


def add(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add ``harness embed`` to the command line."""
    sub = command(
        "embed",
        embed,
        "Embed a FASTA file into shards.",
        "harness embed proteins.faa.gz --embedder esm2-8m -o features/baseline",
    )
    add_fasta(sub)
    add_embedder(sub)
    add_output(sub, "folder for shards and manifest: empty, new, or begun by the same command")
    add_weights(sub)
    sub.add_argument("--truncation", default="truncate", choices=["truncate", "legacy"])
    choices = (
        f"{row.name}: {', '.join(row.attentions)}" for row in RUNTIMES.values() if row.attentions
    )
    sub.add_argument("--attention", help=f"default: the best here; {'; '.join(choices)}")
    sub.add_argument("--revision", help="40-hex commit on the hub")
    sub.add_argument(
        "--remote-code", action="store_true", help="run code from the hub; needs --revision"
    )
    sub.add_argument(
        "--tokens-per-batch",
        type=budget,
        default=None,
        metavar="N",
        help="tokens of one batch, padding included, or auto (default): the fastest that fits, "
        "found once for each device and checkpoint",
    )
    sub.add_argument("--shard-size", type=positive, default=10_000, metavar="N")
    add_format(sub)
    sub.add_argument(
        "--batch-timeout",
        type=seconds,
        default=features.DEFAULT_TIMEOUT_S,
        metavar="S",
        help="seconds after which a batch counts as hung and is tried again (default 3600)",
    )
    sub.add_argument("--strict", action="store_true", help="stop at the first rejected record")


def embed(options: argparse.Namespace) -> int:
    """Embed a FASTA file into a folder of shards."""
    if not options.fasta.is_file():
        raise InputError(f"{options.fasta}: no such file; give a FASTA file, plain or gzip")
    features.check_store(options.output)
    with _embedder(options) as embedder:
        summary = features.extract(
            options.fasta,
            embedder,
            options.output,
            tokens_per_batch=options.tokens_per_batch,
            shard_size=options.shard_size,
            shard_format=options.format,
            strict=options.strict,
        )
    for event in summary.events[:EVENTS_SHOWN]:
        print(f"note: {report.printable(event)}", file=sys.stderr)
    if len(summary.events) > EVENTS_SHOWN:
        more = len(summary.events) - EVENTS_SHOWN
        print(f"note: {more:,} more in {options.output / features.JOURNAL_FILE}", file=sys.stderr)
    print(summary.sentence())
    return 0


@contextmanager
def _embedder(options: argparse.Namespace) -> Iterator[Embedder]:
    """Offer the embedder asked for: with weights in a process of its own, loaded when needed."""
    loader = partial(
        load,
        options.embedder,
        runtime=options.runtime,
        weights=options.weights,
        device=options.device,
        dtype=options.dtype,
        truncation=options.truncation,
        attention=options.attention,
        remote_code=options.remote_code,
        revision=options.revision,
    )
    if checkpoint(options.embedder).parameters == 0:
        yield loader()  # nothing in it can hang or outgrow the memory
        return
    with closing(features.Worker(loader, timeout_s=options.batch_timeout)) as worker:
        yield worker
