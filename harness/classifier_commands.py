"""The commands ``merge``, ``train`` and ``predict``: from shards to scores."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import torch

import classifier
from harness import cells, features
from harness.arguments import add_format, add_output, positive
from harness.files import write_atomically
from harness.preparation import layout_of
from harness.progress import bars_wanted

CONTIG_SUFFIX = ".contigs.csv"


def add(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add ``harness merge``, ``train`` and ``predict`` to the command line."""
    merge = command(
        "merge",
        merge_features,
        "Join DNA and protein features by id, DNA first.",
        "harness merge features/dna features/protein -o features/merged --label viral",
    )
    merge.add_argument("dna", type=Path, metavar="DNA_DIR")
    merge.add_argument("protein", type=Path, metavar="PROTEIN_DIR")
    add_output(merge, "folder for merged shards: empty, new, or begun by the same command")
    merge.add_argument("--label", choices=["viral", "host"], help="one label for all rows")
    add_format(merge)

    train = command(
        "train",
        train_classifier,
        "Train the MLP on merged features.",
        "harness train merged/viral merged/host -o model",
    )
    train.add_argument("merged", type=Path, nargs="+", metavar="MERGED")
    add_output(train, "folder for the classifier, empty or new")
    train.add_argument(
        "--recipe", default="fast", help="fast (default), large (from 100,000 rows on) or original"
    )
    train.add_argument("--groups", type=Path, metavar="CSV", help="id,label,group of every row")
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--device", default="cpu")
    train.add_argument(
        "--threads",
        type=positive,
        metavar="N",
        help="cores for each operation (default: 1, of recipe large all); decides the last bits",
    )
    train.add_argument(
        "--transfer-from",
        type=Path,
        metavar="FOLDER",
        help="begin with the later layers of this classifier of other features",
    )

    predict = command(
        "predict",
        predict_scores,
        "Score merged features with a trained MLP, per frame and per contig.",
        "harness predict model merged/new -o predictions.csv",
    )
    predict.add_argument("model", type=Path, metavar="FOLDER")
    predict.add_argument("merged", type=Path, nargs="+", metavar="MERGED")
    predict.add_argument("-o", "--output", type=Path, required=True, metavar="CSV")
    predict.add_argument("--device", default="cpu")
    predict.add_argument(
        "--threads", type=positive, default=1, metavar="N", help="cores (default: 1)"
    )


def merge_features(options: argparse.Namespace) -> int:
    """Join two folders by id."""
    label = None if options.label is None else features.CLASSES[options.label]
    merged = features.merge(
        options.dna, options.protein, options.output, label=label, shard_format=options.format
    )
    print(f"{options.output}: {layout_of(merged)}")
    return 0


def train_classifier(options: argparse.Namespace) -> int:
    """Train on merged folders and save the classifier with the identity of its features."""
    recipe = classifier.recipe_named(options.recipe)
    blocks = features.merged_blocks(options.merged)
    ids = [each for block in blocks for each in block.ids]
    if options.groups is not None:
        table = features.join_labels(ids, features.read_labels(options.groups))
        labels, groups = table.labels, table.groups
    else:
        labels = features.block_labels(blocks)
        groups = _contigs(ids)
    layout = layout_of(features.open_folder(options.merged[0]))
    learn: Callable[..., classifier.TrainedClassifier] = classifier.train
    if options.transfer_from is not None:
        source = classifier.Source.of(*classifier.load(options.transfer_from))
        learn = partial(classifier.transfer, source, layout=layout)
    trained = learn(
        [stored_rows(block) for block in blocks],
        labels,
        groups,
        recipe=recipe,
        seed=options.seed,
        device=options.device,
        threads=options.threads or (torch.get_num_threads() if recipe.name == "large" else 1),
        progress=bars_wanted(),
    )
    classifier.save(options.output, trained, layout)
    best = trained.history[trained.best_epoch - 1]
    began = "" if trained.origin is None else f"; began with layers for {trained.origin.layout}"
    print(
        f"{options.output}: trained on {trained.rows_trained:,} rows, stopped on "
        f"{trained.rows_validated:,} of other groups; best epoch {trained.best_epoch}, "
        f"validation loss {best.validation_loss:.4f}{began}"
    )
    return 0


def predict_scores(options: argparse.Namespace) -> int:
    """Score merged folders per frame and per contig."""
    trained, layout = classifier.load(options.model)
    blocks = features.merged_blocks(options.merged)
    classifier.check_layout(layout, layout_of(features.open_folder(options.merged[0])))
    ids = [each for block in blocks for each in block.ids]
    scores = classifier.predict(
        trained,
        [stored_rows(block) for block in blocks],
        device=options.device,
        threads=options.threads,
        progress=bars_wanted(),
    )
    contigs = classifier.contig_scores(_contigs(ids), scores)
    per_contig = options.output.with_suffix(CONTIG_SUFFIX)
    _write_scores(options.output, "id", ids, scores.tolist())
    _write_scores(per_contig, "contig", contigs.contigs, contigs.probabilities.tolist())
    print(f"{options.output}: {len(ids):,} frames; {per_contig}: {len(contigs.contigs):,} contigs")
    return 0


def stored_rows(block: features.Shard) -> torch.Tensor | classifier.StoredRows:
    """Leave the vectors of a file in it, where their place is known."""
    if block.place is None:
        return block.matrix
    return classifier.StoredRows(block.place.path, block.place.offset, len(block.ids), block.width)


def _contigs(ids: Iterable[str]) -> tuple[str, ...]:
    """Return the contig of each id; frames of one contig share one string."""
    return tuple(sys.intern(features.contig_of(each)) for each in ids)


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
