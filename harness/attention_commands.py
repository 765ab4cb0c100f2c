"""The command ``attention``: what a model's heads attend to in chosen proteins."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from embedders import Heads, InputError, Truncation, checkpoint, load
from embedders.attention_maps import EAGER_ATTENTION, EAGER_RUNTIME, Selection
from embedders.checkpoints import Family
from embedders.placement import choose_device, choose_dtype
from harness import attention, provenance, report
from harness.arguments import add_fasta, add_output, add_weights, numbers


def add(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add ``harness attention`` to the command line."""
    sub = command(
        "attention",
        maps,
        "Write attention maps of chosen proteins: safetensors, a picture each, an index.",
        "harness attention proteins.faa.gz --embedder esm2-8m --ids P0DTC2 -o results/attention",
    )
    add_fasta(sub)
    sub.add_argument("--embedder", required=True, metavar="NAME", help="an ESM-2 of 'harness list'")
    asked = sub.add_mutually_exclusive_group(required=True)
    asked.add_argument("--ids", nargs="+", metavar="ID", help="first words of the title lines")
    asked.add_argument("--ids-from", type=Path, metavar="FILE", help="a file with one id a line")
    add_output(sub, "a new folder for files, pictures and index.json")
    add_weights(sub)
    sub.add_argument("--dtype", default="float32", help="to compute in (default float32)")
    sub.add_argument(
        "--truncation", default="truncate", choices=[each.value for each in Truncation]
    )
    sub.add_argument(
        "--keep-layers", type=numbers, metavar="N,N,…", help="from 1, first to last (default: all)"
    )
    sub.add_argument(
        "--heads",
        default=Heads.EACH.value,
        choices=[each.value for each in Heads],
        help="each head's map (default), or their mean alone",
    )
    sub.add_argument(
        "--store",
        default=attention.Stored.FLOAT32.value,
        choices=[each.value for each in attention.Stored],
        help="numbers of the files (default float32)",
    )


def maps(options: argparse.Namespace) -> int:
    """Say what the maps take, write them, and say what they took."""
    started = datetime.now(UTC)
    model = checkpoint(options.embedder)
    if model.family is not Family.ESM2:
        raise InputError(f"{model.name} is no ESM-2, and only those are read; see 'harness list'")
    device = choose_device(options.device)
    choose_dtype(options.dtype, device)
    ids = options.ids if options.ids_from is None else attention.read_ids(options.ids_from)
    plan = attention.Plan(
        model=model,
        records=attention.choose(options.fasta, ids),
        selection=Selection(
            tuple(options.keep_layers or range(1, model.layers + 1)), Heads(options.heads)
        ),
        stored=attention.Stored(options.store),
        truncation=Truncation(options.truncation),
        dtype=options.dtype,
    )
    attention.check_room(plan, options.output, device)
    many = "" if len(plan.records) == 1 else "s"
    print(
        f"{len(plan.records):,} record{many}: {plan.disk_bytes:,} bytes of maps in {plan.stored}, "
        f"{plan.attention_bytes:,} bytes of memory for one layer's attention",
        flush=True,
    )
    embedder = load(
        model.name,
        runtime=EAGER_RUNTIME,
        attention=EAGER_ATTENTION,
        weights=options.weights,
        device=options.device,
        dtype=options.dtype,
        truncation=options.truncation,
    )
    command = shlex.join(["harness", *sys.argv[1:]])
    inputs = (options.fasta,) if options.ids_from is None else (options.fasta, options.ids_from)
    origin = provenance.collect(command, inputs, started)
    index = attention.write_maps(plan, embedder, options.output, origin)
    for each in index.records:
        part = "" if each.entered == each.residues else f", the first {each.entered:,} mapped"
        print(
            f"{each.file}  {report.printable(each.id)}: {each.residues:,} residues{part}, "
            f"{' × '.join(map(str, each.shape))} values"
        )
    cost = index.cost
    print(
        f"{options.output}: {sum(each.bytes for each in index.records):,} bytes in "
        f"{cost.elapsed_s:.1f} s, peak memory {cost.host_peak_rss_bytes / 2**20:,.0f} MiB"
    )
    return 0
