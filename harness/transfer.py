"""Retrain from nothing, or transfer what the old classifier learnt? Both, on the same folds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classifier import (
    FeatureLayout,
    Source,
    TrainedClassifier,
    predict,
    recipe_named,
    train,
    transfer,
)
from embedders.errors import InputError
from harness import features, judge, provenance
from harness.arms import Arms
from harness.evidence import Classification, Decision, Endpoint, Grouping, NonInferiority
from harness.files import make_folder
from harness.judge.noninferiority import fewest_clusters
from harness.preparation import LabelledFeatures, Preparation, layout_of
from harness.progress import Named
from harness.spec import ArmName, Dataset, MigrationSpec


class Way(StrEnum):
    """How a classifier came about; only the first is one for the baseline's features.

    ``PHASES`` is the control: new layers throughout, trained in the two phases of a transfer. What
    of a difference it shows as well is due to the phases, and not to anything that was kept.
    """

    BASELINE = "baseline"
    SCRATCH = "from scratch"
    PHASES = "phases alone"
    TRANSFERRED = "transferred"

    @property
    def arm(self) -> ArmName:
        """The arm whose features it reads."""
        return ArmName.BASELINE if self is Way.BASELINE else ArmName.CANDIDATE


PAIRS = (
    (Way.SCRATCH, Way.TRANSFERRED),
    (Way.PHASES, Way.TRANSFERRED),
    (Way.BASELINE, Way.SCRATCH),
    (Way.BASELINE, Way.TRANSFERRED),
)
"""What is compared with what: the question; how much of the answer is due to what was kept; and
what either way means for the migration."""


class Reading(StrEnum):
    """What an interval says of the difference itself, whatever the margin."""

    BETTER = "better"
    WORSE = "worse"
    OPEN = "no difference shown"
    TOO_FEW = "too few genomes"


@dataclass(frozen=True, slots=True)
class Training:
    """One training of one fold; ``seed`` is its own, the same for all ways of that fold.

    ``first_layer_epochs`` of all ``epochs`` are those in which the kept layers were frozen.
    ``losses``: validation loss of each epoch, all ways on the same rows kept out of the fold's
    training part. ``seconds`` is the wall clock of this training alone: not of the source's.
    """

    dataset: str
    way: Way
    seed: int
    epochs: int
    first_layer_epochs: int
    best_epoch: int
    rows_trained: int
    losses: tuple[float, ...]
    seconds: float

    @property
    def rows_seen(self) -> int:
        """Rows that passed the network while it learnt, repeats counted."""
        return self.rows_trained * self.epochs

    @property
    def lowest_loss(self) -> float:
        """Validation loss of the weights that were kept."""
        return self.losses[self.best_epoch - 1]


@dataclass(frozen=True, slots=True)
class Contrast:
    """``after`` minus ``before`` on one endpoint.

    ``reading`` is of the difference itself; ``decision``, as in a migration's verdict, tells
    whether less than the margin is lost, and is left open where genomes are too few.
    """

    dataset: str
    level: str
    endpoint: str
    before: Way
    after: Way
    reading: Reading
    decision: Decision
    paired: NonInferiority


@dataclass(frozen=True, slots=True)
class Findings:
    """What a whole run found; ``unclassified``: why a data set could not be cut into folds."""

    classification: tuple[Classification, ...]
    contrasts: tuple[Contrast, ...]
    groupings: tuple[Grouping, ...]
    unclassified: dict[str, str]


@dataclass(frozen=True, slots=True)
class View:
    """One arm's features of a data set, and which embedder made which of their columns."""

    table: LabelledFeatures
    layout: FeatureLayout


class Trial:
    """Each data set classified all four ways, on identical folds, seeds and recipe.

    The classifier whose layers are transferred is the baseline's of the same fold and seed, which
    saw the training part of that fold alone: nothing of a test row reaches a prediction of it.
    """

    def __init__(self, spec: MigrationSpec, folder: Path, *, progress: bool = False) -> None:
        self.spec = spec
        self.folder = folder
        self.trainings: list[Training] = []
        self.unclassified: dict[str, str] = {}
        self._arms = Arms(spec, Preparation(spec, folder / "features"))
        self._views: dict[tuple[str, ArmName], View] = {}
        self._sources: dict[tuple[str, int], Source] = {}
        self._progress = progress

    def steps(self) -> Iterator[Named]:
        """Yield every step of a whole run with its name."""
        for dataset in self.spec.datasets:
            yield f"features of {dataset.name}", partial(self._embed, dataset)
            for way in Way:
                yield f"classification of {dataset.name}: {way}", partial(self.run, dataset, way)

    def run(self, dataset: Dataset, way: Way) -> None:
        """Predict each row of a data set out of fold, and store the predictions."""
        if dataset.name in self.unclassified:
            return
        table = self._views[dataset.name, way.arm].table

        def trained(fold: judge.Fold, seed: int) -> NDArray[np.float32]:
            begun_s = time.perf_counter()
            fitted = self._learn(dataset.name, way, fold.train, seed)
            took_s = time.perf_counter() - begun_s
            self.trainings.append(_training(dataset.name, way, fitted, took_s))
            return predict(fitted, table.blocks, rows=fold.test)

        plan = self.spec.classification
        try:
            predictions = judge.out_of_fold(
                trained,
                table.examples,
                folds=plan.folds,
                seeds=plan.seeds,
                progress=self._progress,
            )
        except judge.TooFewGenomes as error:
            self.unclassified[dataset.name] = str(error)
            return
        path = self._file(dataset.name, way)
        make_folder(path.parent)
        judge.write_predictions(path, predictions)

    def conclude(self) -> Findings:
        """Compute everything about the classifiers from their stored predictions."""
        judged = [each for each in self.spec.datasets if each.name not in self.unclassified]
        names = [each.name for each in judged]
        return Findings(
            classification=tuple(rate for name in names for rate in self._rates(name)),
            contrasts=tuple(pair for name in names for pair in self._contrasts(name)),
            groupings=tuple(self._arms.preparation.grouping(each) for each in judged),
            unclassified=self.unclassified,
        )

    def take(self, dataset: str, views: Mapping[ArmName, View]) -> None:
        """Take both arms' features of a data set, to be classified.

        Raises
        ------
        InputError
            If they are not of the same rows in one order: a fold is row numbers, and a source may
            only see the rows that its heir may see.
        """
        ids = [views[arm].table.examples.ids for arm in ArmName]
        if ids[0] != ids[1]:
            raise InputError(
                f"{dataset}: the features of the arms are not of the same rows in one order; "
                f"run again into a new folder"
            )
        self._views |= {(dataset, arm): view for arm, view in views.items()}

    def _embed(self, dataset: Dataset) -> None:
        embedders = {arm: self._arms.embedder(arm) for arm in ArmName}
        views = {}
        for arm in ArmName:
            table = self._arms.preparation.features(dataset, arm, embedders)
            merged = features.open_folder(self.folder / "features" / arm / dataset.name / "merged")
            views[arm] = View(table, layout_of(merged))
        self.take(dataset.name, views)

    def _learn(
        self, dataset: str, way: Way, rows: NDArray[np.int64], seed: int
    ) -> TrainedClassifier:
        view = self._views[dataset, way.arm]
        learn: Callable[..., TrainedClassifier] = train
        if way in (Way.PHASES, Way.TRANSFERRED):
            source = (
                Source.untrained(view.layout, seed)
                if way is Way.PHASES
                else self._sources[dataset, seed]
            )
            learn = partial(transfer, source, layout=view.layout)
        trained = learn(
            blocks=view.table.blocks,
            labels=view.table.examples.labels,
            groups=view.table.examples.groups,
            recipe=recipe_named(self.spec.classification.recipe),
            seed=seed,
            rows=rows,
        )
        if way is Way.BASELINE:
            self._sources[dataset, seed] = Source.of(trained, view.layout)
        return trained

    def _file(self, dataset: str, way: Way) -> Path:
        return self.folder / "predictions" / f"{dataset}-{way.name.lower()}.csv"

    def _rates(self, dataset: str) -> Iterator[Classification]:
        for way in Way:
            path = self._file(dataset, way)
            yield from judge.summarise(
                judge.read_predictions(path),
                arm=way,
                dataset=dataset,
                file=path.relative_to(self.folder).as_posix(),
                sha256=provenance.sha256(path),
            )

    def _contrasts(self, dataset: str) -> Iterator[Contrast]:
        stored = {way: judge.read_predictions(self._file(dataset, way)) for way in Way}
        for before, after in PAIRS:
            for each in judge.paired_endpoints(
                stored[before], stored[after], dataset=dataset, gates=self.spec.gates
            ):
                yield contrast(before, after, each)


def contrast(before: Way, after: Way, found: Endpoint) -> Contrast:
    """Say what the interval of an endpoint amounts to."""
    read = reading(found.paired)
    return Contrast(
        dataset=found.dataset,
        level=found.level,
        endpoint=found.endpoint,
        before=before,
        after=after,
        reading=read,
        decision=Decision.INCONCLUSIVE if read is Reading.TOO_FEW else found.paired.decision,
        paired=found.paired,
    )


def reading(paired: NonInferiority) -> Reading:
    """Return what an interval says of the difference: all of it on one side of 0, or not.

    Never with fewer genomes than a verdict needs.
    """
    if paired.lower is None or paired.upper is None:
        return Reading.TOO_FEW
    if paired.clusters < fewest_clusters(paired.alpha):
        return Reading.TOO_FEW
    if paired.lower > 0:
        return Reading.BETTER
    return Reading.WORSE if paired.upper < 0 else Reading.OPEN


def _training(dataset: str, way: Way, trained: TrainedClassifier, seconds: float) -> Training:
    return Training(
        dataset=dataset,
        way=way,
        seed=trained.seed,
        epochs=len(trained.history),
        first_layer_epochs=0 if trained.origin is None else trained.origin.phases[0].epochs,
        best_epoch=trained.best_epoch,
        rows_trained=trained.rows_trained,
        losses=tuple(epoch.validation_loss for epoch in trained.history),
        seconds=seconds,
    )
