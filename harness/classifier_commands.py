"""The commands ``merge``, ``train`` and ``predict``: from shards to scores."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import classifier
from harness import cells, features
from harness.arguments import add_format, add_output
from harness.files import write_atomically
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
    train.add_argument("--recipe", default="fast", help="fast (default) or original")
    train.add_argument("--groups", type=Path, metavar="CSV", help="id,label,group of every row")
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--device", default="cpu")

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
