"""The command ``audit``: is what an embedder computes right, and is another one like it?"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from embedders import Embedder, InputError, Modality, Truncation, checkpoint, load
from harness import cells, features, measure, provenance, report
from harness.arguments import add_embedder, add_fasta, add_weights, positive
from harness.files import fresh_folder, write_text_atomically
from harness.results import ParityCheck, to_json

SCHEMA = "embedder-migration/audit/1"
SAMPLE_SEQUENCES = 20_000
"""At most so many sequences are read to draw those that are embedded."""

_Row = dict[str, Any]


def add(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add ``harness audit`` to the command line."""
    sub = command(
        "audit",
        audit,
        "Ask whether what an embedder computes is right; exit 1 if a check fails.",
        "harness audit proteins.faa.gz --embedder mini-candidate --against mini-baseline",
    )
    add_fasta(sub)
    add_embedder(sub)
    add_weights(sub)
    sub.add_argument(
        "--truncation", default="truncate", choices=[each.value for each in Truncation]
    )
    sub.add_argument("--layers", type=positive, help="cut the depth (random weights only)")
    sub.add_argument("--tokens-per-batch", type=positive, default=4096, metavar="N")
    sub.add_argument(
        "--sequences", type=positive, default=24, metavar="N", help="of all lengths (default 24)"
    )
    sub.add_argument(
        "--against",
        nargs="+",
        default=[],
        metavar="NAME",
        help="other embedders of proteins, on their own runtimes: are they alike?",
    )
    sub.add_argument("--json", action="store_true", help="print JSON")
    sub.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="a new folder for audit.json and tables"
    )


def audit(options: argparse.Namespace) -> int:
    """Audit one embedder, compare it with others, and print a line for each check."""
    started = datetime.now(UTC)
    loader = partial(
        load,
        weights=options.weights,
        device=options.device,
        truncation=options.truncation,
        layers=options.layers,
    )
    for name in (options.embedder, *options.against):
        if checkpoint(name).modality is not Modality.PROTEIN:
            raise InputError(f"{name} embeds no proteins; choose one of 'harness list' that does")
    embedder = loader(options.embedder, runtime=options.runtime, dtype=options.dtype)
    sequences = _sample(options.fasta, embedder, options.sequences)
    if options.against and len(sequences) < measure.LEAST_ROWS:
        raise InputError(
            f"--against needs at least {measure.LEAST_ROWS} sequences to tell likeness from "
            f"chance, and there are {len(sequences)}"
        )
    folder = None if options.output is None else fresh_folder(options.output)
    other = measure.reference_runtime(options.embedder, embedder.spec.runtime)
    found = measure.examine(
        embedder,
        None
        if other is None
        else partial(loader, options.embedder, runtime=other, dtype="float32"),
        sequences,
        arm=options.embedder,
        tokens_per_batch=options.tokens_per_batch,
    )
    asked = [(options.embedder, check) for check in found.checks]
    specs = [embedder.spec]
    for name in options.against:
        # one at a time: each may be as large as the first
        against = loader(name, dtype=options.dtype)
        specs.append(against.spec)
        vectors = against.embed(sequences, tokens_per_batch=options.tokens_per_batch)
        likeness = measure.similarity(found.vectors, vectors, seed=0)
        asked += [(f"{options.embedder} and {name}", check) for check in likeness]
    passed = all(check.passed for _, check in asked)
    document: _Row = {
        "schema": SCHEMA,
        "passed": passed,
        "embedders": [asdict(each) for each in specs],
        "sequences": len(sequences),
        "checks": [_row(of, check) for of, check in asked],
        "not_measured": [found.unasked] if found.unasked else [],
        "layers": [asdict(layer) for layer in found.layers],
        "provenance": asdict(
            provenance.collect(shlex.join(["harness", *sys.argv[1:]]), (options.fasta,), started)
        ),
    }
    if folder is not None:
        _write(folder, document)
    print(to_json(document).rstrip() if options.json else _screen(asked))
    if found.unasked:
        print(f"note: not measured: {report.printable(found.unasked)}", file=sys.stderr)
    return 0 if passed else 1


def _write(folder: Path, document: _Row) -> None:
    write_text_atomically(folder / "audit.json", to_json(document))
    write_text_atomically(folder / "audit.csv", cells.table(document["checks"]))
    if document["layers"]:
        write_text_atomically(folder / "layers.csv", cells.table(document["layers"]))


def _sample(fasta: Path, embedder: Embedder, count: int) -> list[str]:
    """Draw sequences of all lengths from the file's first 20,000 that can be embedded."""
    if not fasta.is_file():
        raise InputError(f"{fasta}: no such file; give a FASTA file, plain or gzip")
    sample = list(islice(features.admitted_residues(fasta, embedder.clean), SAMPLE_SEQUENCES))
    if not sample:
        raise InputError(f"{fasta}: no sequence that can be embedded")
    rows = measure.like_subsets(
        [len(each) for each in sample], subsets=1, rows=min(count, len(sample))
    )[0]
    return [sample[row] for row in rows]


def _row(of: str, check: ParityCheck) -> _Row:
    return {
        "of": of,
        "check": check.check,
        "passed": check.passed,
        "value": check.value,
        "limit": check.limit,
        "at_least": check.at_least,
        "sentence": check.sentence,
    }


def _screen(asked: Sequence[tuple[str, ParityCheck]]) -> str:
    lines = [
        (
            "PASS" if check.passed else "FAIL",
            of,
            check.check,
            f"{check.value:.6g}",
            f"{'at least' if check.at_least else 'at most'} {check.limit:.4g}",
            check.sentence,
        )
        for of, check in asked
    ]
    table = report.plain_table(lines, ("", "embedder", "check", "value", "limit", "what was asked"))
    failed = sum(not check.passed for _, check in asked)
    return f"{table}\n{len(asked)} checks, {failed} failed"
