"""The commands ``sweep`` and ``attribute``: how fast, by which budget, and because of what."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path

from embedders import InputError, load
from embedders.alphabet import clean_protein
from embedders.batching import SPECIAL_TOKENS
from harness import cells, features, measure, provenance, report, speed
from harness.files import fresh_folder, write_text_atomically
from harness.results import to_json

SAMPLE_SEQUENCES = 20_000
DISTINCT_ROUNDS = 8
"""At most so many different inputs; further rounds repeat them, the same for every arm."""
ATTRIBUTION_SCHEMA = "embedder-migration/attribution/1"

_DEPLOYED = ("fair-esm", "float32")
_FASTEST = ("packed", "bfloat16")

_Value = str | float | None


def sweep(options: argparse.Namespace) -> int:
    """Try token budgets, or batch sizes at one length, and write table and plot."""
    folder = fresh_folder(options.output)
    loader = partial(
        load,
        options.embedder,
        runtime=options.runtime,
        weights=options.weights,
        device=options.device,
        dtype=options.dtype,
        layers=options.layers,
    )
    sequences = _inputs(options.fasta, options.sequences, rounds=1)[0]
    budgets = options.budgets
    if options.batch_sizes:
        if options.length is None:
            raise InputError("--batch-sizes needs --length: the residues of every sequence")
        length = options.length
        sequences = [(each * -(-length // len(each)))[:length] for each in sequences]
        budgets = [size * (options.length + SPECIAL_TOKENS) for size in options.batch_sizes]
    found = speed.sweep(
        loader(),
        loader,
        sequences,
        budgets,
        rounds=options.rounds,
        layers=options.layers,
        provenance=_provenance(options.fasta),
    )
    rows = [asdict(point) for point in found.points]
    write_text_atomically(folder / "sweep.json", to_json(found))
    write_text_atomically(folder / "sweep.csv", cells.table(rows))
    title = f"{found.spec.name}, {found.spec.runtime}, {found.spec.dtype}, {found.spec.device}"
    write_text_atomically(
        folder / "sweep.svg",
        report.sweep_plot(
            [point.tokens_per_batch for point in found.points],
            [(point.residues_per_s, point.lower, point.upper) for point in found.points],
            [point.utilisation for point in found.points],
            title,
        ),
    )
    print(_table(rows))
    end = f"{found.failed:,} ran out of memory" if found.failed else "larger ones were not tried"
    print(
        f"{title}: best {found.best:,} tokens per batch; the largest that fits is "
        f"{found.largest_fitting:,} ({end}){_steady(found.steady)}"
    )
    return 0


def attribute(options: argparse.Namespace) -> int:
    """Split the gain of a migration into size, dtype and runtime."""
    folder = fresh_folder(options.output)
    inputs = _inputs(options.fasta, options.sequences, rounds=DISTINCT_ROUNDS)

    def contender(cell: speed.Cell) -> speed.Contender:
        embedder = load(
            cell.name,
            runtime=cell.runtime,
            dtype=cell.dtype,
            weights=options.weights,
            device=options.device,
            layers=options.layers,
        )
        return speed.Contender(embedder, options.tokens_per_batch, options.layers)

    found = speed.attribute(
        contender,
        speed.Cell("baseline", options.baseline, *_DEPLOYED),
        speed.Cell("candidate", options.candidate, *_FASTEST),
        inputs,
        rounds=options.rounds,
    )
    rows: list[dict[str, _Value]] = [
        {
            "order": order,
            "factor": each.factor,
            "slow": each.slow,
            "fast": each.fast,
            "speedup": each.speedup.ratio,
            "lower": each.speedup.lower,
            "upper": each.speedup.upper,
        }
        for order, chain in (
            ("size first", found.size_first),
            ("runtime first", found.runtime_first),
        )
        for each in chain
    ]
    document = {
        "schema": ATTRIBUTION_SCHEMA,
        **asdict(found),
        "provenance": asdict(_provenance(options.fasta)),
    }
    write_text_atomically(folder / "attribution.json", to_json(document))
    write_text_atomically(folder / "attribution.csv", cells.table(rows))
    print(_table(rows))
    for order, chain in (("size", found.size_first), ("runtime", found.runtime_first)):
        product = " × ".join(f"{each.factor} {each.speedup.ratio:.2f}" for each in chain)
        print(f"{order} first: {product} = {found.total.ratio:.2f}")
    print(
        f"total {found.total.ratio:.2f} [{found.total.lower:.2f}, {found.total.upper:.2f}]"
        f"{_steady(found.steady)}"
    )
    return 0


def _inputs(fasta: Path, count: int, *, rounds: int) -> list[list[str]]:
    """Draw rounds of ``count`` sequences with the length mix of the file's first 20,000."""
    sample = list(islice(features.admitted_residues(fasta, clean_protein), SAMPLE_SEQUENCES))
    if not sample:
        raise InputError(f"{fasta}: no sequence that can be embedded")
    rows = min(count, len(sample))
    subsets = measure.like_subsets(
        [len(each) for each in sample], subsets=min(rounds, len(sample) // rows), rows=rows
    )
    return [[sample[row] for row in subset] for subset in subsets]


def _provenance(fasta: Path) -> provenance.Provenance:
    return provenance.collect(shlex.join(["harness", *sys.argv[1:]]), (fasta,), datetime.now(UTC))


def _table(rows: Sequence[dict[str, _Value]]) -> str:
    return report.plain_table(
        [[_shown(each) for each in row.values()] for row in rows], list(rows[0])
    )


def _shown(value: _Value) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _steady(steady: bool) -> str:
    return "" if steady else "; the rounds had not become steady before the timed ones began"
