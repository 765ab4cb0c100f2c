"""The commands ``finetune`` and ``finetune-judge``: adapt an encoder, and ask what it is worth."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from embedders import InputError, checkpoint
from harness import provenance, report, tuning
from harness.arguments import add_fasta, add_output, add_weights, positive
from harness.progress import announced, bars_wanted
from harness.results import EXIT_CODES
from harness.spec import read_spec

_SHOWN = ("dataset", "level", "endpoint", "before", "after", "decision", "reason")
_REASON_WIDTH = 60


def add(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add ``harness finetune`` and ``harness finetune-judge`` to the command line."""
    sub = command(
        "finetune",
        finetune,
        "Fine-tune an ESM-2 encoder on labelled proteins by LoRA.",
        "harness finetune proteins.faa.gz --labels proteins.csv --embedder esm2-8m -o tuned",
    )
    add_fasta(sub)
    sub.add_argument("--labels", type=Path, required=True, metavar="CSV", help="id,label,group")
    sub.add_argument("--embedder", required=True, metavar="NAME", help="see 'harness list'")
    add_weights(sub)
    sub.add_argument("--revision", help="40-hex commit on the hub")
    add_output(sub, "folder for adapter and weights: empty, new, or begun by the same command")
    sub.add_argument("--seed", type=int, default=0)
    _add_recipe(sub)

    judged = command(
        "finetune-judge",
        judge,
        "Compare a migration's arms with its candidate fine-tuned in every fold; "
        "exit 0 only on PASS.",
        "harness finetune-judge benchmarks/demo.toml --dataset proteins --seeds 3 -o judged",
    )
    judged.add_argument("spec", type=Path, metavar="SPEC.toml")
    add_output(judged, "folder for the comparison: empty, new, or begun by the same command")
    judged.add_argument(
        "--dataset", action="append", default=[], metavar="NAME", help="judge only this one; again"
    )
    judged.add_argument(
        "--seeds", type=positive, metavar="N", help="the first N of the migration's (default all)"
    )
    judged.add_argument("--weights", help="hub, mini, or a folder, for both arms")
    judged.add_argument("--device", help="overrides the migration file's")
    judged.add_argument(
        "--workers", type=positive, default=1, metavar="N", help="fine-tune N folds at a time"
    )
    _add_recipe(judged)


def finetune(options: argparse.Namespace) -> int:
    """Fine-tune into a folder and say what was learnt."""
    started = datetime.now(UTC)
    if options.seed < 0:
        raise InputError(f"--seed must be at least 0, not {options.seed}")
    for path in (options.fasta, options.labels):
        if not path.is_file():
            raise InputError(f"{path}: no such file")
    proteins, rejected = tuning.read_proteins(options.fasta, options.labels)
    record = tuning.finetune(
        proteins,
        tuning.Start(
            row=checkpoint(options.embedder),
            weights=options.weights,
            revision=options.revision,
            device=options.device,
            threads=options.threads,
        ),
        _recipe(options),
        options.output,
        seed=options.seed,
        origin=partial(
            provenance.collect,
            shlex.join(["harness", *sys.argv[1:]]),
            (options.fasta, options.labels),
            started,
        ),
        progress=bars_wanted(),
    )
    if rejected:
        print(f"note: {rejected:,} record(s) cannot be embedded and were left out", file=sys.stderr)
    print(_said(record, options))
    return 0


def judge(options: argparse.Namespace) -> int:
    """Judge a fine-tuned candidate; the verdict on it against the baseline is the exit code."""
    started = datetime.now(UTC)
    spec = read_spec(options.spec).with_overrides(weights=options.weights, device=options.device)
    plan = tuning.TuningPlan(
        spec=spec,
        recipe=_recipe(options),
        datasets=tuple(options.dataset),
        seeds=options.seeds,
        threads=options.threads,
        workers=options.workers,
    )
    data = [path for each in plan.judged for path in each.inputs()]
    found = tuning.compare(
        plan,
        options.output,
        origin=partial(
            provenance.collect,
            shlex.join(["harness", *sys.argv[1:]]),
            (options.spec, *data),
            started,
        ),
        announce=announced,
        progress=bars_wanted(),
    )
    print(_screen(found))
    return EXIT_CODES[found.verdict.decision]


def _add_recipe(sub: argparse.ArgumentParser) -> None:
    """Add threads, and an option for each value of the recipe."""
    sub.add_argument(
        "--threads", type=positive, default=1, metavar="N", help="CPU cores of one training"
    )
    recipe = sub.add_argument_group("recipe", "see docs/fine-tuning.md")
    for each in fields(tuning.TuningRecipe):
        is_list = isinstance(each.default, tuple)
        default = ",".join(each.default) if isinstance(each.default, tuple) else each.default
        recipe.add_argument(
            f"--{each.name.replace('_', '-')}",
            type=_words if is_list else type(each.default),
            default=each.default,
            metavar="NAME,…" if is_list else each.name.rpartition("_")[2].upper(),
            help=f"default: {default}",
        )


def _recipe(options: argparse.Namespace) -> tuning.TuningRecipe:
    names = [each.name for each in fields(tuning.TuningRecipe)]
    return tuning.TuningRecipe(**{name: getattr(options, name) for name in names})


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _said(record: dict[str, Any], options: argparse.Namespace) -> str:
    learnt, parameters = record["learnt"], record["parameters"]
    losses = [epoch["validation_loss"] for epoch in record["history"]]
    best = record["best_epoch"]
    lines = [
        f"{options.output}: {learnt:,} numbers were learnt beside the encoder's {parameters:,} "
        f"({learnt / parameters:.1%}), on {record['rows']:,} proteins",
        f"best epoch {best} of {len(losses) - 1}, validation loss {losses[0]:.4f} → "
        f"{losses[best]:.4f}"
        if best
        else f"none of {len(losses) - 1} epochs lowered the validation loss of {losses[0]:.4f}: "
        "the encoder is left as it was",
        f"to embed by it: harness embed IN.fa --embedder {options.embedder} "
        f"--weights {options.output / tuning.WEIGHTS_FOLDER} -o DIR",
    ]
    return "\n".join(lines)


def _screen(found: tuning.TuningComparison) -> str:
    endpoints, rates, _ = found.tables()
    parts = []
    if rates:
        parts = [
            _table(rates, list(rates[0])),
            _table(endpoints, _SHOWN, widths=[None] * (len(_SHOWN) - 1) + [_REASON_WIDTH]),
        ]
    for name in dict.fromkeys(each.dataset for each in found.trainings):
        own = [each for each in found.trainings if each.dataset == name]
        alone = sum(each.best_epoch == 0 for each in own)
        share = own[0].learnt / own[0].parameters
        parts.append(
            f"{name}: {len(own)} fine-tunings, {own[0].learnt:,} numbers learnt beside the "
            f"encoder's {own[0].parameters:,} ({share:.1%}); in {alone} of them no epoch was "
            "better than the encoder as it was"
        )
    parts.append(
        f"Verdict on the fine-tuned candidate against the baseline: {found.verdict.decision} - "
        f"{found.verdict.reason}"
    )
    return "\n\n".join(parts)


def _table(
    rows: Sequence[tuning.Row], names: Sequence[str], widths: Sequence[int | None] | None = None
) -> str:
    return report.plain_table(
        [[_cell(row[name]) for name in names] for row in rows], names, widths=widths
    )


def _cell(value: str | float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
