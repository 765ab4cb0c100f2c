"""Cross-validation by group, and the rates that follow from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from embedders.errors import InputError
from harness.judge.metrics import DEFAULT_THRESHOLD, RATES, score
from harness.judge.predictions import Examples, Predictions
from harness.judge.splits import grouped_folds
from harness.results import Classification

if TYPE_CHECKING:
    from classifier import Recipe


def cross_validate(
    blocks: Sequence[torch.Tensor],
    examples: Examples,
    *,
    folds: int,
    seeds: Sequence[int],
    recipe: Recipe,
    device: str = "cpu",
    progress: bool = False,
) -> Predictions:
    """Predict every row by a classifier that saw nothing of its group, once per seed.

    The folds depend on labels, groups and seed alone and each training's own seed on seed and fold
    alone, so two arms are compared on the same splits. The test part of a fold is not handed to
    training at all; early stopping watches groups cut from the training part.

    Parameters
    ----------
    blocks
        float32 ``(n_i, d)``, e.g. memory-mapped shards; ``[matrix]`` for a single one.
    examples
        What each row is, in the order of the rows.
    folds
        At least 2.
    seeds
        Each gives another cut into folds and another training.
    recipe
        How to train.
    device
        Where to train.
    progress
        Show a bar that counts trainings.

    Raises
    ------
    SplitError, ClassifierError
        If the groups do not allow the folds, or training refuses the features.
    InputError
        If there are not as many examples as rows, or there are no seeds.
    """
    from tqdm import tqdm  # noqa: PLC0415

    from classifier import predict, train  # noqa: PLC0415

    rows = sum(block.shape[0] for block in blocks)
    if rows != len(examples):
        raise InputError(f"{rows} rows of features for {len(examples)} examples")
    if not seeds:
        raise InputError("no seeds: at least one is needed")
    cuts = [grouped_folds(examples.labels, examples.groups, folds, seed) for seed in seeds]
    where = np.full((len(cuts), rows), -1, dtype=np.int64)
    chances = np.full((len(cuts), rows), np.nan, dtype=np.float32)
    jobs = [(s, f, fold) for s, cut in enumerate(cuts) for f, fold in enumerate(cut)]
    for s, f, fold in tqdm(
        jobs, desc="classifiers", unit="training", disable=not progress, leave=False
    ):
        trained = train(
            blocks,
            examples.labels,
            examples.groups,
            recipe=recipe,
            seed=_training_seed(seeds[s], f),
            rows=fold.train,
            device=device,
        )
        where[s, fold.test] = f
        chances[s, fold.test] = predict(trained, blocks, rows=fold.test, device=device)
    return Predictions(examples, tuple(seeds), where, chances)


def _training_seed(seed: int, fold: int) -> int:
    """Return a seed of its own for each training, from numpy's documented mixing of the two."""
    return int(np.random.SeedSequence((seed, fold)).generate_state(1)[0])


def summarise(
    predictions: Predictions,
    *,
    arm: str,
    dataset: str,
    file: str,
    sha256: str,
    threshold: float = DEFAULT_THRESHOLD,
) -> tuple[Classification, ...]:
    """Turn predictions into rates, per chunk and, where contigs have several frames, per contig.

    Parameters
    ----------
    predictions
        Of one arm on one data set.
    arm, dataset, file, sha256
        Whose they are and where they are stored, for the record.
    threshold
        Called viral at this probability and above.

    Returns
    -------
    tuple[Classification, ...]
        Level ``chunk``: each row by itself. Level ``contig``: each contig by its most confident
        frame (:func:`classifier.contig_scores`); left out where every row is its own contig, since
        it would repeat the first.
    """
    from classifier import contig_scores  # noqa: PLC0415

    examples = predictions.examples
    truth = dict(zip(examples.contigs, examples.labels.tolist(), strict=True))
    levels = {"chunk": [score(examples.labels, p, threshold) for p in predictions.probabilities]}
    if len(truth) < len(examples):
        levels["contig"] = []
        for probabilities in predictions.probabilities:
            best = contig_scores(examples.contigs, probabilities)
            labels = [truth[name] for name in best.contigs]
            levels["contig"].append(score(labels, best.probabilities, threshold))
    return tuple(
        Classification(
            arm=arm,
            dataset=dataset,
            level=level,
            seeds=predictions.seeds,
            per_seed=tuple(per_seed),
            mean={name: _mean([getattr(each, name) for each in per_seed]) for name in RATES},
            predictions=file,
            predictions_sha256=sha256,
        )
        for level, per_seed in levels.items()
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None
