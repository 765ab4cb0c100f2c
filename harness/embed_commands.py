"""The command ``embed``: from a FASTA file to a folder of shards."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

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
from harness.cluster import RayEngine

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
    sub.add_argument(
        "--engine",
        default="local",
        choices=["local", "ray"],
        help="local (default): this machine; ray: a cluster, or several workers here",
    )
    sub.add_argument(
        "--address",
        metavar="HOST:PORT",
        help="a running Ray, or auto for that of this machine (default: one is started here)",
    )
    sub.add_argument(
        "--workers",
        type=positive,
        metavar="N",
        help="on Ray (default: one for each GPU, without GPUs one for each machine)",
    )


def embed(options: argparse.Namespace) -> int:
    """Embed a FASTA file into a folder of shards."""
    if not options.fasta.is_file():
        raise InputError(f"{options.fasta}: no such file; give a FASTA file, plain or gzip")
    features.check_store(options.output)
    if options.engine != "ray" and (options.address or options.workers):
        raise InputError("--address and --workers go with --engine ray")
    with _engine(options) as engine:
        summary = features.extract_by(
            engine,
            options.fasta,
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
def _engine(options: argparse.Namespace) -> Iterator[features.Engine]:
    """Offer the embedder asked for, on this machine or on a cluster, loaded when needed."""
    weightless = checkpoint(options.embedder).parameters == 0
    if options.engine == "ray":
        with RayEngine(
            _loader(options),
            address=options.address,
            workers=options.workers,
            on_gpus=False if weightless else _on_gpus(options.device),
            timeout_s=options.batch_timeout,
        ) as engine:
            yield engine
    elif weightless:
        yield features.OneEmbedder(_loader(options)())  # nothing in it can hang or outgrow memory
    else:
        # in a process of its own
        with closing(features.Worker(_loader(options), timeout_s=options.batch_timeout)) as worker:
            yield features.OneEmbedder(worker)


def _loader(options: argparse.Namespace) -> Callable[[], Embedder]:
    weights = options.weights
    if weights not in (None, "hub", "mini") and Path(weights).is_dir():
        weights = str(Path(weights).absolute())  # a worker on Ray has another working folder
    return partial(
        load,
        options.embedder,
        runtime=options.runtime,
        weights=weights,
        device=options.device,
        dtype=options.dtype,
        truncation=options.truncation,
        attention=options.attention,
        remote_code=options.remote_code,
        revision=options.revision,
    )


def _on_gpus(device: str) -> bool | None:
    """Tell whether a worker on Ray needs a GPU; None: if there is any."""
    if device.startswith("cuda:"):
        raise InputError(
            f"--device {device}: on Ray each worker sees the GPU that it is given and no other; "
            "use --device cuda"
        )
    return None if device == "auto" else device == "cuda"
