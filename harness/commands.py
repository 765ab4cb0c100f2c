"""What each command does with its options; every function returns the exit code."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import classifier
from embedders import Embedder, InputError, checkpoint, load
from embedders import list_embedders as embedder_rows
from harness import cells, features, judge, report
from harness import doctor as examination
from harness.files import write_atomically
from harness.migration import Migration
from harness.progress import announced, bars_wanted
from harness.recomputation import missing_tables, verify
from harness.results import EXIT_CODES, Comparison, read_comparison, to_json
from harness.spec import ArmName

CONTIG_SUFFIX = ".contigs.csv"
EVENTS_SHOWN = 20


def list_embedders(options: argparse.Namespace) -> int:
    """Print the table of embedders."""
    rows = embedder_rows()
    if options.json:
        print(json.dumps(rows, indent=1))
        return 0
    columns = ("name", "modality", "width", "layers", "heads", "parameters", "runtimes", "licence")
    print(report.plain_table([[_cell(row[name]) for name in columns] for row in rows], columns))
    return 0


def doctor(options: argparse.Namespace) -> int:
    """Print what works here; exit 1 if something that is needed is missing."""
    found = examination.examine(options.spec, output=options.output, sequences=options.sequences)
    print(json.dumps(found.document(), indent=1) if options.json else examination.screen(found))
    return 0 if found.ok else 1


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


def merge_features(options: argparse.Namespace) -> int:
    """Join two folders by id."""
    label = None if options.label is None else features.CLASSES[options.label]
    merged = features.merge(
        options.dna, options.protein, options.output, label=label, shard_format=options.format
    )
    print(f"{options.output}: {_layout(merged)}")
    return 0


def train_classifier(options: argparse.Namespace) -> int:
    """Train on merged folders and save the classifier with the identity of its features."""
    blocks = features.merged_blocks(options.merged)
    ids = [each for block in blocks for each in block.ids]
    if options.groups is not None:
        table = features.join_labels(ids, features.read_labels(options.groups))
        labels, groups = table.labels, table.groups
    else:
        labels = features.block_labels(blocks)
        groups = tuple(features.contig_of(each) for each in ids)
    trained = classifier.train(
        [block.matrix for block in blocks],
        labels,
        groups,
        recipe=classifier.recipe_named(options.recipe),
        seed=options.seed,
        device=options.device,
        progress=bars_wanted(),
    )
    classifier.save(options.output, trained, _layout(features.open_folder(options.merged[0])))
    best = trained.history[trained.best_epoch - 1]
    print(
        f"{options.output}: trained on {trained.rows_trained:,} rows, stopped on "
        f"{trained.rows_validated:,} of other groups; best epoch {trained.best_epoch}, "
        f"validation loss {best.validation_loss:.4f}"
    )
    return 0


def predict_scores(options: argparse.Namespace) -> int:
    """Score merged folders per frame and per contig."""
    trained, layout = classifier.load(options.model)
    blocks = features.merged_blocks(options.merged)
    classifier.check_layout(layout, _layout(features.open_folder(options.merged[0])))
    ids = [each for block in blocks for each in block.ids]
    scores = classifier.predict(trained, [block.matrix for block in blocks], device=options.device)
    contigs = classifier.contig_scores([features.contig_of(each) for each in ids], scores)
    per_contig = options.output.with_suffix(CONTIG_SUFFIX)
    _write_scores(options.output, "id", ids, scores.tolist())
    _write_scores(per_contig, "contig", contigs.contigs, contigs.probabilities.tolist())
    print(f"{options.output}: {len(ids):,} frames; {per_contig}: {len(contigs.contigs):,} contigs")
    return 0


def migrate(options: argparse.Namespace) -> int:
    """Run a whole comparison; the verdict is the exit code."""
    migration = Migration.prepare(
        options.spec,
        results=options.output,
        command=shlex.join(["harness", *sys.argv[1:]]),
        weights=options.weights,
        device=options.device,
        layers=options.layers,
        progress=bars_wanted(),
    )
    for _, step in announced(migration.steps()):
        step()
    comparison = migration.conclude()
    print(report.terminal_summary(comparison, migration.folder))
    report.write_step_summary(comparison)
    return EXIT_CODES[comparison.verdict.decision]


def report_run(options: argparse.Namespace) -> int:
    """Compute a stored run again from its predictions, and make its tables and report anew."""
    comparison = read_comparison(options.run_dir)
    verify(comparison, options.run_dir)
    missing = missing_tables(comparison, options.run_dir)
    if missing:
        print(
            f"note: rates were not computed again: {', '.join(missing)} not in {options.run_dir}",
            file=sys.stderr,
        )
    report.write_tables(comparison, options.run_dir)
    print(report.terminal_summary(comparison, options.run_dir))
    return 0


def check(options: argparse.Namespace) -> int:
    """Compare the candidate of a stored run with the candidate of an earlier one."""
    folders = (options.current, options.baseline)
    current, earlier = map(read_comparison, folders)
    gates = judge.regression_gates(
        current, earlier, predictions=folders, tolerance=options.tolerance
    )
    verdict = judge.decide(gates)
    compared = f"candidate of {_candidate(current)} against candidate of {_candidate(earlier)}"
    if options.json:
        document = {"compared": compared, "gates": gates, "verdict": verdict}
        print(to_json(document), end="")
    else:
        print(report.printable(f"{compared}; figures read earlier → current"))
        print(report.gates_as_table(gates, "simple"))
        print(report.printable(f"{verdict.decision} - {verdict.reason}"))
    return EXIT_CODES[verdict.decision]


def _candidate(run: Comparison) -> str:
    spec = run.arms.get(ArmName.CANDIDATE)
    loaded = "not loaded" if spec is None else f"{spec.name}, {spec.runtime}, {spec.dtype}"
    return f"{run.run} ({loaded})"


def _layout(folder: features.EmbeddingFolder) -> classifier.FeatureLayout:
    return classifier.FeatureLayout(
        tuple(
            classifier.FeaturePart(part.name, part.width, part.sha256 or "unrecorded")
            for part in folder.parts
        )
    )


def _write_scores(
    path: Path, key: str, names: list[str] | tuple[str, ...], scores: list[float]
) -> None:
    def write(partial: Path) -> None:
        with partial.open("w", encoding="utf-8", newline="") as stream:
            stream.write(cells.line((key, "probability", "prediction")))
            stream.writelines(
                cells.line((name, score, "viral" if score >= 0.5 else "host"))
                for name, score in zip(names, scores, strict=True)
            )

    write_atomically(path, write)


def _cell(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else "" if value is None else str(value)
