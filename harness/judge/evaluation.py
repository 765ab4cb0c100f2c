"""Cross-validation by group, and the rates that follow from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from embedders.errors import InputError
from harness.evidence import Classification
from harness.judge.metrics import DEFAULT_THRESHOLD, RATES, score
from harness.judge.predictions import Examples, Predictions
from harness.judge.splits import Fold, TooFewGenomes, grouped_folds

if TYPE_CHECKING:
    from classifier import Recipe


Trainer = Callable[[Fold, int], NDArray[np.float32]]
"""Learns from a fold's training rows under a seed; returns the probability of viral, float32
``(len(fold.test),)``, of its test rows."""


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """What is judged at one level: ``labels`` int64 and ``groups``, ``(n,)``.

    ``probabilities``: float32 ``(seeds, n)``, of viral.
    """

    name: str
    labels: NDArray[np.int64]
    groups: tuple[str, ...]
    probabilities: NDArray[np.float32]


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
    """Predict every row by the MLP, trained on the features of other groups; once per seed.

    Parameters
    ----------
    blocks
        float32 ``(n_i, d)``, e.g. memory-mapped shards; ``[matrix]`` for a single one.
    examples
        What each row is, in the order of the rows.
    folds, seeds, progress
        As in :func:`out_of_fold`.
    recipe
        How to train.
    device
        Where to train.

    Raises
    ------
    TooFewGenomes
        If the groups do not allow the folds, or leave none to stop training early by.
    ClassifierError
        If training refuses the features.
    InputError
        If there are not as many examples as rows, or there are no seeds.
    """
    from classifier import predict, train  # noqa: PLC0415

    rows = sum(block.shape[0] for block in blocks)
    if rows != len(examples):
        raise InputError(f"{rows} rows of features for {len(examples)} examples")

    def trained(fold: Fold, seed: int) -> NDArray[np.float32]:
        fitted = train(
            blocks,
            examples.labels,
            examples.groups,
            recipe=recipe,
            seed=seed,
            rows=fold.train,
            device=device,
        )
        return predict(fitted, blocks, rows=fold.test, device=device)

    return out_of_fold(trained, examples, folds=folds, seeds=seeds, progress=progress)


def out_of_fold(
    trained: Trainer,
    examples: Examples,
    *,
    folds: int,
    seeds: Sequence[int],
    progress: bool = False,
) -> Predictions:
    """Predict every row by a model that saw nothing of its group, once per seed.

    The folds depend on labels, groups and seed alone and each training's own seed on seed and fold
    alone, so two arms are compared on the same splits, whatever is trained. Only the fold's
    training rows may be learnt from; early stopping should watch groups cut from them.

    Parameters
    ----------
    trained
        Called as ``trained(fold, seed)`` with a seed of each training's own; learns from
        ``fold.train`` alone and returns the probability of viral of each row of ``fold.test``,
        float32 ``(len(fold.test),)``.
    examples
        What each row is, in the order of the rows.
    folds
        At least 2.
    seeds
        Each gives another cut into folds and another training.
    progress
        Show a bar that counts trainings.

    Raises
    ------
    TooFewGenomes
        If the groups do not allow the folds, or leave none to stop training early by.
    InputError
        If there are no seeds.
    """
    from tqdm import tqdm  # noqa: PLC0415

    from classifier import TooFewGroups  # noqa: PLC0415

    if not seeds:
        raise InputError("no seeds: at least one is needed")
    rows = len(examples)
    cuts = [grouped_folds(examples.labels, examples.groups, folds, seed) for seed in seeds]
    where = np.full((len(cuts), rows), -1, dtype=np.int64)
    chances = np.full((len(cuts), rows), np.nan, dtype=np.float32)
    jobs = [(s, f, fold) for s, cut in enumerate(cuts) for f, fold in enumerate(cut)]
    for s, f, fold in tqdm(
        jobs, desc="classifiers", unit="training", disable=not progress, leave=False
    ):
        where[s, fold.test] = f
        try:
            chances[s, fold.test] = trained(fold, training_seed(seeds[s], f))
        except TooFewGroups as error:
            raise TooFewGenomes(f"fold {f} of {folds}: {error}") from error
    return Predictions(examples, tuple(seeds), where, chances)


def training_seed(seed: int, fold: int) -> int:
    """Return a seed of its own for each training, from numpy's documented mixing of the two."""
    return int(np.random.SeedSequence((seed, fold)).generate_state(1)[0])


def levels(predictions: Predictions) -> tuple[Level, ...]:
    """Return what is judged: rows and, where contigs have several frames, contigs.

    Level ``chunk``: each row by itself. Level ``contig``: each contig by its most confident frame
    (:func:`classifier.contig_scores`), in the order of their names; left out where every row is
    its own contig, since it would repeat the first.
    """
    from classifier import contig_scores  # noqa: PLC0415

    examples = predictions.examples
    chunk = Level("chunk", examples.labels, examples.groups, predictions.probabilities)
    if len(set(examples.contigs)) == len(examples):
        return (chunk,)
    best = [contig_scores(examples.contigs, each) for each in predictions.probabilities]
    # any frame will do: those of one contig share label and group
    frame = {name: row for row, name in enumerate(examples.contigs)}
    rows = [frame[name] for name in best[0].contigs]
    contig = Level(
        "contig",
        examples.labels[rows],
        tuple(examples.groups[row] for row in rows),
        np.stack([each.probabilities for each in best]),
    )
    return chunk, contig


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
        One for each of :func:`levels`.
    """
    scored = {
        level.name: [score(level.labels, each, threshold) for each in level.probabilities]
        for level in levels(predictions)
    }
    return tuple(
        Classification(
            arm=arm,
            dataset=dataset,
            level=name,
            seeds=predictions.seeds,
            per_seed=tuple(per_seed),
            mean={rate: _mean([getattr(each, rate) for each in per_seed]) for rate in RATES},
            predictions=file,
            predictions_sha256=sha256,
        )
        for name, per_seed in scored.items()
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None
