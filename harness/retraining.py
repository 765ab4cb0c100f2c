"""The classifier retrained on each arm's features, and what the predictions say of the arms."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch

from classifier import recipe_named
from harness import judge, provenance
from harness.arms import Arms
from harness.evidence import Classification, Modality
from harness.files import make_folder, write_atomically
from harness.findings import Findings
from harness.preparation import LabelledFeatures
from harness.spec import ArmName, ClassificationPlan

DNA_PART, PROTEIN_PART = "dna", "protein"
"""In names of files."""
DNA, PROTEIN, MERGED = "DNA only", "protein only", "merged"


class Retraining:
    """Classifies each data set once an arm; predictions go to disk, and rates come from there."""

    def __init__(self, arms: Arms, found: Findings, folder: Path, *, progress: bool) -> None:
        self._arms = arms
        self._spec = arms.spec
        self._found = found
        self._folder = folder
        self._progress = progress

    def classify(self, dataset: str, arm: ArmName) -> tuple[Classification, ...]:
        """Embed a data set, retrain the classifier on folds by group, and score out of fold.

        Empty where the data set has too few genomes for the folds; the findings keep the reason.
        """
        key = (dataset, arm)
        if key not in self._found.classification and dataset not in self._found.unclassified:
            table = self._features(dataset, arm)
            try:
                predictions = self._cross_validate(table, table.blocks, self._plan.seeds)
            except judge.TooFewGenomes as error:
                self._found.unclassified[dataset] = str(error)
                return ()
            _store(self._file(dataset, arm), predictions)
            self._found.classification[key] = self.recompute(dataset, arm)
            self._found.groupings[dataset] = self._arms.preparation.grouping(
                self._spec.dataset(dataset)
            )
            self._pair(dataset)
        return self._found.classification.get(key, ())

    def adopt_baseline(self, first: Retraining) -> None:
        """Take over the baseline's predictions from another migration on the same rows.

        The files are copied, so that each run can be computed again from its own folder.
        """
        for dataset in self._spec.datasets:
            for file in (
                self._file(dataset.name, ArmName.BASELINE),
                self._part_file(dataset.name, DNA_PART),
                self._part_file(dataset.name, f"{ArmName.BASELINE}-{PROTEIN_PART}"),
            ):
                theirs = first._folder / file.relative_to(self._folder)
                if theirs.is_file():
                    make_folder(file.parent)
                    write_atomically(file, partial(shutil.copyfile, theirs))

    def recompute(self, dataset: str, arm: ArmName) -> tuple[Classification, ...]:
        """Compute every rate of an arm from its stored predictions alone."""
        path = self._file(dataset, arm)
        return judge.summarise(
            judge.read_predictions(path),
            arm=arm,
            dataset=dataset,
            file=path.relative_to(self._folder).as_posix(),
            sha256=provenance.sha256(path),
        )

    def modalities(self, dataset: str) -> tuple[Modality, ...]:
        """Retrain on each half of the features alone, with the first seeds of the plan.

        Empty where the data set has no DNA half, where an arm was not classified, or where the
        file asks for no seeds.
        """
        seeds = self._plan.seeds[: self._plan.modality_seeds]
        judged = all((dataset, arm) in self._found.classification for arm in ArmName)
        if dataset not in self._found.modalities and seeds and judged:
            tables = {arm: self._features(dataset, arm) for arm in ArmName}
            shared = tables[ArmName.BASELINE]
            width = self._arms.embedder(ArmName.BASELINE).spec.width
            dna = shared.blocks[0].shape[1] - width
            if not dna:
                return ()
            dna_only = self._part(dataset, DNA_PART, shared, slice(0, dna), seeds)
            protein_only = [
                self._part(dataset, f"{arm}-{PROTEIN_PART}", table, slice(dna, None), seeds)
                for arm, table in tables.items()
            ]
            merged = [
                judge.of_first_seeds(judge.read_predictions(self._file(dataset, arm)), len(seeds))
                for arm in ArmName
            ]
            self._found.modalities[dataset] = judge.modalities(
                {
                    DNA: (dna_only, dna_only),
                    PROTEIN: (protein_only[0], protein_only[1]),
                    MERGED: (merged[0], merged[1]),
                },
                dataset=dataset,
                gates=self._spec.gates,
            )
        return self._found.modalities.get(dataset, ())

    def _part(
        self,
        dataset: str,
        name: str,
        table: LabelledFeatures,
        columns: slice,
        seeds: Sequence[int],
    ) -> judge.Predictions:
        """Classify by some columns of the features, unless another migration has done so.

        Returns the predictions as they were stored.
        """
        path = self._part_file(dataset, name)
        if not path.exists():
            blocks = [block[:, columns] for block in table.blocks]
            _store(path, self._cross_validate(table, blocks, seeds))
        return judge.read_predictions(path)

    def _pair(self, dataset: str) -> None:
        """Compare the stored predictions of both arms, once both are there."""
        if all((dataset, arm) in self._found.classification for arm in ArmName):
            before, after = (judge.read_predictions(self._file(dataset, arm)) for arm in ArmName)
            gates = self._spec.gates
            self._found.endpoints[dataset] = judge.paired_endpoints(
                before, after, dataset=dataset, gates=gates
            )
            self._found.details[dataset] = judge.details(
                before,
                after,
                self._arms.preparation.strata(self._spec.dataset(dataset)),
                dataset=dataset,
                gates=gates,
            )

    def _features(self, dataset: str, arm: ArmName) -> LabelledFeatures:
        judged = [each for each in ArmName if each is arm or self._arms.has_learnt_weights(each)]
        embedders = {each: self._arms.embedder(each) for each in judged}
        return self._arms.preparation.features(self._spec.dataset(dataset), arm, embedders)

    def _cross_validate(
        self, table: LabelledFeatures, blocks: Sequence[torch.Tensor], seeds: Sequence[int]
    ) -> judge.Predictions:
        return judge.cross_validate(
            blocks,
            table.examples,
            folds=self._plan.folds,
            seeds=seeds,
            recipe=recipe_named(self._plan.recipe),
            progress=self._progress,
        )

    @property
    def _plan(self) -> ClassificationPlan:
        return self._spec.classification

    def _part_file(self, dataset: str, name: str) -> Path:
        return self._folder / "predictions" / "modalities" / f"{dataset}-{name}.csv"

    def _file(self, dataset: str, arm: ArmName) -> Path:
        return self._folder / "predictions" / f"{dataset}-{arm}.csv"


def _store(path: Path, predictions: judge.Predictions) -> None:
    make_folder(path.parent)
    judge.write_predictions(path, predictions)
