"""Is a fine-tuned candidate good enough, and did fine-tuning help? Judged out of fold."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import torch
from pebble import ProcessPool

from classifier import recipe_named
from embedders import EmbedderSpec
from harness import cells, judge
from harness.evidence import Classification
from harness.files import make_folder, write_text_atomically
from harness.judge.evaluation import training_seed
from harness.judge.gate import undecided_gates
from harness.preparation import LabelledFeatures, Preparation
from harness.progress import Named, bar
from harness.provenance import Provenance, sha256
from harness.results import Gate, to_json
from harness.spec import ArmName, Dataset
from harness.tuning.adapter import check_peft
from harness.tuning.fold import FoldScores, Setting, score_fold
from harness.tuning.lock import locked
from harness.tuning.plan import TuningPlan
from harness.tuning.proteins import Proteins, residues_of
from harness.tuning.records import (
    FILE_NAMES,
    PAIRS,
    RECORD_FILE,
    SCHEMA,
    Contender,
    Pair,
    Training,
    TuningComparison,
)

FEATURES, SPLITS, TRAININGS, PREDICTIONS = "features", "splits", "trainings", "predictions"
PREPARED_FILE = "prepared"
"""Lies in ``trainings/<data set>`` once the features of both arms are whole."""
TABLES = ("pairs.csv", "rates.csv", "trainings.csv")

Key = tuple[int, int]
"""Seed and number of a fold."""
Work = tuple[Setting, judge.Fold, int, Path]
"""What :func:`harness.tuning.fold.score_fold` takes."""


def compare(
    plan: TuningPlan,
    folder: Path,
    *,
    origin: Callable[[], Provenance],
    announce: Callable[[list[Named]], Iterable[Named]] = iter,
    progress: bool = False,
) -> TuningComparison:
    """Judge a fine-tuned candidate in a folder that is new, empty, or begun by the same call.

    In every fold the encoder is fine-tuned on the training rows alone, all rows are embedded by it
    as the candidate is deployed, and the migration's classifier is retrained on the training rows,
    with the same DNA half, recipe, folds and seeds as for both arms. After a break at any moment
    the same call goes on from the last finished epoch, and ends with the same predictions.

    Parameters
    ----------
    plan
        What is compared, and how.
    folder
        For features, trainings, predictions, tables and the record.
    origin
        Called at the end, for the record.
    announce
        Yields the steps one by one, e.g. :func:`harness.progress.announced`.
    progress
        Show bars.

    Raises
    ------
    TuningError
        If the folder holds anything else, is of other arguments or is being written, or
        fine-tuning fails.
    InputError, ClassifierError
        If data, weights or features cannot be used.
    """
    check_peft()
    with locked(folder, {FEATURES, SPLITS, TRAININGS, PREDICTIONS, RECORD_FILE, *TABLES}):
        judging = _Judging(plan, folder, progress=progress)
        steps: list[Named] = []
        for dataset in plan.judged:
            steps += [
                (f"features of {dataset.name}", partial(judging.prepare, dataset)),
                (f"classifiers on {dataset.name}", partial(judging.classify, dataset)),
                (f"fine-tuning on {dataset.name}", partial(judging.finetune, dataset)),
            ]
        for _, step in announce(steps):
            step()
        found = judging.conclude(origin())
        for name, rows in zip(TABLES, found.tables(), strict=True):
            if rows:
                write_text_atomically(folder / name, cells.table(rows))
        write_text_atomically(folder / RECORD_FILE, to_json(found))
        return found


class _Judging:
    """What one comparison has found so far."""

    def __init__(self, plan: TuningPlan, folder: Path, *, progress: bool) -> None:
        self._plan = plan
        self._spec = plan.spec
        self._folder = folder
        self._progress = progress
        self._preparation = Preparation(plan.spec, folder / FEATURES)
        self._tables: dict[tuple[str, ArmName], LabelledFeatures] = {}
        self._candidates: dict[str, EmbedderSpec] = {}
        self._found: list[Classification] = []
        self._pairs: list[Pair] = []
        self._trainings: list[Training] = []
        self._unclassified: dict[str, str] = {}

    def prepare(self, dataset: Dataset) -> None:
        """Embed a data set by both arms; what a break left unfinished is made anew."""
        done = self._folder / TRAININGS / dataset.name / PREPARED_FILE
        if not done.exists():
            for part in (*ArmName, "dna"):
                shutil.rmtree(self._folder / FEATURES / part / dataset.name, ignore_errors=True)
        embedders = {arm: self._preparation.loader(self._spec.arm(arm))() for arm in ArmName}
        for arm in ArmName:
            table = self._preparation.features(dataset, arm, embedders)
            self._tables[dataset.name, arm] = table
        make_folder(done.parent)
        write_text_atomically(done, "")
        self._candidates[dataset.name] = embedders[ArmName.CANDIDATE].spec

    def classify(self, dataset: Dataset) -> None:
        """Retrain the classifier on the features of both arms, as a migration does."""
        for arm in ArmName:
            table = self._tables[dataset.name, arm]
            try:
                predictions = judge.cross_validate(
                    table.blocks,
                    table.examples,
                    folds=self._spec.classification.folds,
                    seeds=self._plan.chosen_seeds,
                    recipe=recipe_named(self._spec.classification.recipe),
                    progress=self._progress,
                )
            except judge.TooFewGenomes as error:
                self._unclassified[dataset.name] = str(error)
                return
            self._keep(dataset, Contender(arm), predictions)

    def finetune(self, dataset: Dataset) -> None:
        """Fine-tune in every fold under every seed, and compare what comes of it."""
        if dataset.name in self._unclassified:
            return
        scores = self._scores(dataset)
        examples = self._tables[dataset.name, ArmName.CANDIDATE].examples
        collect = partial(
            judge.out_of_fold,
            examples=examples,
            folds=self._spec.classification.folds,
            seeds=self._plan.chosen_seeds,
        )
        by_classifier = collect(lambda _, seed: scores[seed].classifier)
        by_head = collect(lambda _, seed: scores[seed].head)
        self._keep(dataset, Contender.FINETUNED, by_classifier)
        self._keep(dataset, Contender.HEAD, by_head)
        for before, after in PAIRS:
            self._pair(dataset, before, after)

    def conclude(self, provenance: Provenance) -> TuningComparison:
        """Put the gates of the first pair together."""
        gates: list[Gate] = []
        for dataset in self._plan.judged:
            asked: Iterable[Gate] = (
                gate
                for pair in self._pairs
                if (pair.dataset, pair.before, pair.after) == (dataset.name, *PAIRS[0])
                for gate in pair.gates
            )
            if dataset.name in self._unclassified:
                reason = self._unclassified[dataset.name]
                asked = undecided_gates(
                    reason, dataset=dataset.name, levels=["chunk"], gates=self._spec.gates
                )
            gates += [replace(gate, required=dataset.required) for gate in asked]
        return TuningComparison(
            schema=SCHEMA,
            name=self._spec.name,
            baseline=self._spec.baseline.embedder,
            candidate=self._spec.candidate.embedder,
            recipe=asdict(self._plan.recipe),
            seeds=self._plan.chosen_seeds,
            folds=self._spec.classification.folds,
            classification=tuple(self._found),
            pairs=tuple(self._pairs),
            trainings=tuple(self._trainings),
            unclassified=dict(self._unclassified),
            verdict=judge.decide(gates),
            provenance=provenance,
        )

    def _scores(self, dataset: Dataset) -> dict[int, FoldScores]:
        """Return the scores of each fold by the seed of its training, and note the trainings."""
        setting = self._setting(dataset)
        examples = self._tables[dataset.name, ArmName.CANDIDATE].examples
        folds = self._spec.classification.folds
        jobs = {
            (seed, number): fold
            for seed in self._plan.chosen_seeds
            for number, fold in enumerate(
                judge.grouped_folds(examples.labels, examples.groups, folds, seed)
            )
        }
        place = self._folder / TRAININGS / dataset.name
        name = "seed-{}-fold-{}.safetensors"
        work = {
            key: (setting, fold, training_seed(*key), place / name.format(*key))
            for key, fold in jobs.items()
        }
        found: dict[int, FoldScores] = {}
        with bar(len(jobs), "training", shown=self._progress) as shown:
            for key, scores in self._done(work):
                found[training_seed(*key)] = scores
                self._trainings.append(Training(dataset.name, *key, **scores.record))
                shown.update()
        return found

    def _done(self, work: Mapping[Key, Work]) -> Iterator[tuple[Key, FoldScores]]:
        """Yield the scores of each fold, in order; computed here, or in processes of their own."""
        if self._plan.workers == 1:
            for key, each in work.items():
                yield key, score_fold(*each)
            return
        # a process that was forked could not use a GPU
        with ProcessPool(self._plan.workers, context=get_context("spawn")) as pool:
            try:
                begun = {key: pool.schedule(score_fold, args=each) for key, each in work.items()}
                for key, future in begun.items():
                    yield key, future.result()
            finally:
                # after an error, or Ctrl-C, the others need not run to their ends
                pool.stop()  # type: ignore[no-untyped-call]

    def _setting(self, dataset: Dataset) -> Setting:
        table = self._tables[dataset.name, ArmName.CANDIDATE]
        candidate = self._candidates[dataset.name]
        dna = table.blocks[0].shape[1] - candidate.width
        proteins = Proteins(
            residues_of(dataset.proteins, table.examples.ids),
            table.examples.labels,
            table.examples.groups,
        )
        return Setting(
            proteins=proteins,
            dna=torch.cat([block[:, :dna] for block in table.blocks]),
            start=self._plan.start,
            weights=candidate.weights.sha256,
            recipe=self._plan.recipe,
            classifier=recipe_named(self._spec.classification.recipe),
            arm=self._spec.candidate,
            embedding=self._spec.embedding,
        )

    def _keep(self, dataset: Dataset, contender: Contender, predictions: judge.Predictions) -> None:
        """Store predictions, and compute every rate from what was stored."""
        path = self._file(dataset, contender)
        make_folder(path.parent)
        judge.write_predictions(path, predictions)
        self._found += judge.summarise(
            judge.read_predictions(path),
            arm=contender,
            dataset=dataset.name,
            file=path.relative_to(self._folder).as_posix(),
            sha256=sha256(path),
        )

    def _pair(self, dataset: Dataset, before: Contender, after: Contender) -> None:
        stored = [judge.read_predictions(self._file(dataset, each)) for each in (before, after)]
        endpoints = judge.paired_endpoints(*stored, dataset=dataset.name, gates=self._spec.gates)
        # a gate knows two arms: whatever is compared stands as one of them
        sides = {before: ArmName.BASELINE, after: ArmName.CANDIDATE}
        results = [
            replace(each, arm=sides[Contender(each.arm)])
            for each in self._found
            if each.dataset == dataset.name and each.arm in sides
        ]
        gates = judge.endpoint_gates(
            results,
            endpoints,
            dataset=dataset.name,
            levels=list(dict.fromkeys(each.level for each in endpoints)),
            gates=self._spec.gates,
        )
        self._pairs.append(Pair(dataset.name, before, after, endpoints, tuple(gates)))

    def _file(self, dataset: Dataset, contender: Contender) -> Path:
        name = f"{dataset.name}-{FILE_NAMES[contender]}.csv"
        return self._folder / PREDICTIONS / name
