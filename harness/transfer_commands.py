"""The command ``transfer``: a classifier from nothing, or from the old one's later layers?"""

from __future__ import annotations

import argparse
import math
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from tabulate import tabulate

from classifier import recipe_named
from embedders import InputError
from harness import cells, provenance, report
from harness.arguments import positive
from harness.evidence import Classification
from harness.files import write_text_atomically
from harness.progress import announced, bars_wanted
from harness.provenance import Provenance
from harness.report.escapes import MARKDOWN, cell, escaped
from harness.report.numerals import decided, difference, rate
from harness.results import to_json
from harness.spec import ArmName, MigrationSpec, read_spec
from harness.transfer import PAIRS, Contrast, Findings, Reading, Training, Trial, Way

SCHEMA = "embedder-migration/transfer/1"
RECORD_FILE = "transfer.json"
TABLES_FILE = "transfer.md"
TRAININGS_FILE = "trainings.csv"

RATES = ("recall", "specificity", "roc_auc")
"""The rates of each way that the tables show."""

MARKS = (1, 2, 3, 5, 7, 10, 20, 50, 100, 200)
"""The epochs after which the tables show the validation loss, as far as trainings went on."""


@dataclass(frozen=True, slots=True)
class Effort:
    """What the trainings of one way took on one data set: means over folds and seeds.

    ``lowest_losses[k]`` is the mean of the lowest validation loss within the first ``k + 1``
    epochs: how fast it converges, where early stopping ends trainings at different epochs. None
    where a training had no finite loss by then.
    """

    dataset: str
    way: Way
    trainings: int
    epochs: float
    best_epoch: float
    rows_seen: float
    seconds: float
    lowest_loss: float
    lowest_losses: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """The record of a run as ``transfer.json`` holds it."""

    schema: str
    run: str
    spec: MigrationSpec
    provenance: Provenance
    found: Findings
    efforts: tuple[Effort, ...]


def add(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add ``harness transfer`` to the command line."""
    sub = command(
        "transfer",
        compare,
        "Retrain from nothing, or transfer the old classifier's layers? Try both.",
        "harness transfer migrations/esm2-3b_to_fastesm2-650.toml -o results",
    )
    sub.add_argument("spec", type=Path, metavar="SPEC.toml")
    sub.add_argument("-o", "--output", type=Path, default=Path("results"), metavar="DIR")
    sub.add_argument("--weights", help="hub, mini or a folder, for both arms")
    sub.add_argument("--device", help="overrides the migration file's")
    sub.add_argument("--recipe", help="overrides the migration file's, e.g. original")
    sub.add_argument(
        "--seeds", type=positive, metavar="N", help="only the first N seeds of the migration file"
    )
    sub.add_argument("--json", action="store_true", help="print JSON")


def compare(options: argparse.Namespace) -> int:
    """Classify every data set all four ways, and write and print what came of it."""
    started = datetime.now(UTC)
    spec = _asked(options)
    with report.new_run_folder(options.output, f"{spec.name}-transfer") as folder:
        trial = Trial(spec, folder, progress=bars_wanted())
    for _, step in announced(trial.steps()):
        step()
    found = trial.conclude()
    inputs = (options.spec, *(path for each in spec.datasets for path in each.inputs()))
    document = Document(
        schema=SCHEMA,
        run=trial.folder.name,
        spec=spec,
        provenance=provenance.collect(shlex.join(["harness", *sys.argv[1:]]), inputs, started),
        found=found,
        efforts=tuple(
            effort(took)
            for dataset in spec.datasets
            if dataset.name not in found.unclassified
            for way in Way
            if (took := [t for t in trial.trainings if (t.dataset, t.way) == (dataset.name, way)])
        ),
    )
    write_text_atomically(trial.folder / RECORD_FILE, to_json(document))
    write_text_atomically(trial.folder / TABLES_FILE, markdown(document))
    if trial.trainings:
        rows = [_row(each) for each in trial.trainings]
        write_text_atomically(trial.folder / TRAININGS_FILE, cells.table(rows))
    print(to_json(document).rstrip() if options.json else _screen(document, trial.folder))
    return 0


def markdown(document: Document) -> str:
    """Return all tables with their headings."""
    machine = document.provenance.machine.sentence()
    title = document.spec.title or document.spec.name
    parts = [f"# Transfer or retraining: {escaped(title)}"]
    for heading, table in _tables(document, MARKDOWN):
        parts += [f"## {heading}", table]
    parts.append(f"{_sentence(document.found)} {_plan(document.spec)} Made on {escaped(machine)}.")
    return "\n\n".join(parts) + "\n"


def effort(trainings: Sequence[Training]) -> Effort:
    """Return the means of trainings of one way on one data set, at least one."""
    losses = np.full((len(trainings), max(each.epochs for each in trainings)), np.nan)
    for row, each in enumerate(trainings):
        losses[row, : each.epochs] = each.losses
    lowest = np.fmin.accumulate(losses, axis=1).mean(axis=0).tolist()

    def mean(values: Iterator[float]) -> float:
        return float(np.mean(list(values)))

    return Effort(
        dataset=trainings[0].dataset,
        way=trainings[0].way,
        trainings=len(trainings),
        epochs=mean(each.epochs for each in trainings),
        best_epoch=mean(each.best_epoch for each in trainings),
        rows_seen=mean(each.rows_seen for each in trainings),
        seconds=mean(each.seconds for each in trainings),
        lowest_loss=mean(each.lowest_loss for each in trainings),
        lowest_losses=tuple(loss if math.isfinite(loss) else None for loss in lowest),
    )


def _asked(options: argparse.Namespace) -> MigrationSpec:
    """Read what is asked, and refuse what could only fail after hours of embedding."""
    spec = read_spec(options.spec).with_overrides(weights=options.weights, device=options.device)
    for arm in ArmName:
        if (spec.arm(arm).weights or "").startswith("random"):
            raise InputError(
                f"{options.spec}: the {arm} has random weights, whose features say nothing about "
                f"transfer; give --weights hub, mini or a folder"
            )
    plan = spec.classification
    recipe = recipe_named(options.recipe or plan.recipe)
    seeds = plan.seeds[: options.seeds]
    return replace(spec, classification=replace(plan, recipe=recipe.name, seeds=seeds))


def _screen(document: Document, folder: Path) -> str:
    parts = [report.printable(document.spec.title or document.spec.name)]
    parts += [table for _, table in _tables(document, "simple")]
    parts += [_plan(document.spec), report.printable(str(folder)), _sentence(document.found)]
    return "\n\n".join(parts)


def _tables(document: Document, style: str) -> Iterator[tuple[str, str]]:
    """Yield each table with its heading, in one of tabulate's styles."""
    found = document.found
    yield (
        "Which is better",
        _table(
            map(_contrast, found.contrasts),
            ("data", "level", "endpoint", "compared", "difference", "reading", "margin"),
            style,
        ),
    )
    yield (
        "Rates",
        _table(
            map(_rates, found.classification),
            ("data", "level", "classifier", "sensitivity", "specificity", "ROC AUC"),
            style,
        ),
    )
    yield (
        "What the trainings took",
        _table(
            map(_effort, document.efforts),
            (
                "data",
                "classifier",
                "trainings",
                "epochs",
                "best epoch",
                "rows seen",
                "lowest validation loss",
                "seconds",
            ),
            style,
        ),
    )
    longest = max((len(each.lowest_losses) for each in document.efforts), default=0)
    marks = [mark for mark in MARKS if mark <= longest]
    yield (
        "Lowest validation loss within so many epochs",
        _table(
            (_convergence(each, marks) for each in document.efforts),
            ("data", "classifier", *map(str, marks)),
            style,
        ),
    )
    if found.unclassified:
        yield "Not classified", _table(found.unclassified.items(), ("data", "why"), style)


def _table(lines: Iterable[Sequence[str]], headers: Sequence[str], style: str) -> str:
    shown = [[cell(each, style) for each in line] for line in lines]
    return tabulate(shown, headers=headers, tablefmt=style, disable_numparse=True)


def _contrast(each: Contrast) -> tuple[str, ...]:
    return (
        each.dataset,
        each.level,
        each.endpoint,
        f"{each.after} against {each.before}",
        difference(each.paired),
        each.reading.value,
        f"{decided(each.decision)} at {each.paired.margin:g}",
    )


def _rates(each: Classification) -> tuple[str, ...]:
    return (each.dataset, each.level, each.arm, *(rate(each.mean[name]) for name in RATES))


def _effort(each: Effort) -> tuple[str, ...]:
    return (
        each.dataset,
        each.way.value,
        f"{each.trainings:,}",
        f"{each.epochs:.1f}",
        f"{each.best_epoch:.1f}",
        f"{each.rows_seen:,.0f}",
        f"{each.lowest_loss:.4f}",
        f"{each.seconds:.2f}",
    )


def _convergence(each: Effort, marks: Sequence[int]) -> tuple[str, ...]:
    reached = [each.lowest_losses[min(mark, len(each.lowest_losses)) - 1] for mark in marks]
    losses = ("" if loss is None else f"{loss:.3f}" for loss in reached)
    return (each.dataset, each.way.value, *losses)


def _row(each: Training) -> dict[str, str | float]:
    """Return a training as a line of the CSV, its losses aside."""
    return {
        "dataset": each.dataset,
        "way": each.way.value,
        "seed": each.seed,
        "epochs": each.epochs,
        "first_layer_epochs": each.first_layer_epochs,
        "best_epoch": each.best_epoch,
        "rows_trained": each.rows_trained,
        "rows_seen": each.rows_seen,
        "lowest_loss": each.lowest_loss,
        "seconds": each.seconds,
    }


def _plan(spec: MigrationSpec) -> str:
    plan = spec.classification
    return (
        f"Rates and differences are means over {len(plan.seeds)} seed(s) of {plan.folds} folds "
        f"by group, recipe {plan.recipe}; efforts are means over single trainings."
    )


def _sentence(found: Findings) -> str:
    """Say in one line how the question came out."""
    before, after = PAIRS[0]
    asked = [each for each in found.contrasts if (each.before, each.after) == PAIRS[0]]
    if not asked:
        return "No data set could be classified."
    counts = Counter(each.reading for each in asked)
    said = ", ".join(f"{reading} on {counts[reading]}" for reading in Reading if counts[reading])
    return f"{after.capitalize()} against {before}: {said} of {len(asked)} endpoints."
