"""The data sets of one run as labelled features, each arm in folders of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice
from pathlib import Path

import torch

from classifier import FeatureLayout, FeaturePart
from embedders import Embedder, load
from harness import features, groups, judge, learnt
from harness.evidence import Grouping
from harness.files import make_folder
from harness.results import Extraction
from harness.spec import Arm, ArmName, Dataset, MigrationSpec


@dataclass(frozen=True, slots=True)
class LabelledFeatures:
    """One arm's view of a data set.

    ``blocks``: float32 ``(n_i, d)``, mapped from the merged shards, DNA columns first;
    ``examples``: what each row is, in the order of the blocks.
    """

    blocks: tuple[torch.Tensor, ...]
    examples: judge.Examples


class Preparation:
    """Turns the FASTA files of a migration into features below one folder.

    The DNA half is embedded once and serves both arms, and so do the groups of the rows, which are
    written to ``splits`` beside that folder; nothing else is shared between them.

    ``first``: the preparation of another migration from the same baseline on the same data, whose
    baseline, DNA half and groups are taken instead of being made again. What the candidate of
    either rejects is then left out of both.

    Raises
    ------
    InputError
        If the weights of an arm were fine-tuned on proteins of a data set.
    """

    def __init__(
        self, spec: MigrationSpec, folder: Path, *, first: Preparation | None = None
    ) -> None:
        learnt.refuse_known(spec)
        self._extractions: list[Extraction] = []
        self._first = first
        self._kin: list[Preparation] = [] if first is None else first._kin
        self._kin.append(self)
        self._spec = spec
        self._folder = folder
        self._dna: dict[str, Path] = {}
        self._rows: dict[str, judge.Rows] = {}
        self._groupings: dict[str, Grouping] = {}
        self._ids: dict[str, tuple[str, ...]] = {}

    @property
    def extractions(self) -> tuple[Extraction, ...]:
        """Return what was embedded so far, for whichever migration it was embedded first."""
        shared = () if self._first is None else self._first.extractions
        taken = (each for each in shared if each.part != ArmName.CANDIDATE)
        return (*taken, *self._extractions)

    def loader(
        self, plan: Arm, *, runtime: str | None = None, dtype: str | None = None
    ) -> Callable[[], Embedder]:
        """Return a picklable call that loads one arm, on another runtime or dtype if asked."""
        return partial(
            load,
            plan.embedder,
            runtime=runtime or plan.runtime,
            weights=plan.weights,
            device=self._spec.embedding.device,
            dtype=dtype or plan.dtype,
            truncation=self._spec.embedding.truncation,
            attention=None if runtime else plan.attention,
            remote_code=plan.remote_code and runtime is None,
            revision=plan.revision,
            layers=plan.layers,
        )

    def sample(self, dataset: str, embedder: Embedder, most: int) -> list[str]:
        """Return the first ``most`` protein sequences that the cleaning policy takes, cleaned."""
        proteins = self._spec.dataset(dataset).proteins
        return list(islice(features.admitted_residues(proteins, embedder.clean), most))

    def dna_width(self) -> int:
        """Return the width of the DNA half as seen in data; 0 where no data set has one."""
        if self._first is not None:
            return self._first.dna_width()
        for dataset in self._spec.datasets:
            if dataset.dna_features is not None:
                return features.open_folder(dataset.dna_features).width
            if dataset.nucleotides is not None:
                residues = features.admitted_residues(dataset.nucleotides, self._dna_embedder.clean)
                first = next(residues)
                return self._dna_embedder.embed([first]).shape[1]
        return 0

    def features(
        self, dataset: Dataset, arm: ArmName, embedders: Mapping[ArmName, Embedder]
    ) -> LabelledFeatures:
        """Embed a data set for every arm given, and merge and label the rows of one.

        A record that the embedder of any arm rejects is left out of all of them: the arms are
        compared on the same rows.

        Raises
        ------
        InputError
            If ids of proteins, DNA and labels do not match, rejected records aside.
        """
        for each, embedder in embedders.items():
            self.embed(dataset, each, embedder)
        protein = self._protein_folder(dataset, arm)
        others = [each for each in self._embedded(dataset, embedders) if each != protein]
        without = [reject for other in others for reject in features.read_rejects(other)]
        merged = protein.with_name("merged")
        shard_size = self._spec.embedding.shard_size
        dna = self._dna_folder(dataset)
        if dna is None:
            features.repack(protein, merged, shard_size=shard_size, without=without)
        else:
            features.merge(dna, protein, merged, shard_size=shard_size, without=without)
        shards = features.merged_blocks([merged])
        ids = tuple(each for shard in shards for each in shard.ids)
        rejected = {reject.id for reject in features.read_rejects(merged)}
        labels = features.join_labels(ids, features.read_labels(dataset.labels), rejected=rejected)
        rows = self.rows(dataset)
        examples = judge.Examples(
            ids=ids,
            contigs=tuple(map(features.contig_of, ids)),
            groups=tuple(rows.components[row] for row in rows.places(ids)),
            labels=labels.labels,
        )
        self._ids[dataset.name] = ids
        return LabelledFeatures(tuple(shard.matrix for shard in shards), examples)

    def grouping(self, dataset: Dataset) -> Grouping:
        """Return how the rows of a data set were grouped, and what that prevents.

        Raises
        ------
        InputError
            As :meth:`rows`.
        """
        self.rows(dataset)
        return self._groupings[dataset.name]

    def rows(self, dataset: Dataset) -> judge.Rows:
        """Group the rows of a data set, once for all arms, and write them to ``splits``.

        Rows are the labelled records that the cleaning policy takes; an arm may reject some more.

        Raises
        ------
        InputError
            If ids of proteins and labels do not match, the column of groups is not there, the
            search tool is missing or fails, or a contig would be parted.
        """
        if dataset.name not in self._rows:
            file = self._folder.with_name("splits") / f"{dataset.name}.csv"
            make_folder(file.parent)
            if self._first is None:
                rows, homologues = groups.grouped(dataset, self._spec.splits)
                judge.write_rows(file, rows)
                grouping = groups.described(dataset, rows, homologues, file, self._spec)
            else:
                rows, grouping = self._first.rows(dataset), self._first.grouping(dataset)
                judge.write_rows(file, rows)
            self._groupings[dataset.name] = grouping
            self._rows[dataset.name] = rows
        return self._rows[dataset.name]

    def strata(self, dataset: Dataset) -> Mapping[str, tuple[str, ...]]:
        """Return the stratum of each row that was last classified, by kind; else of every row."""
        rows = self.rows(dataset)
        return judge.strata(rows, self._ids.get(dataset.name, rows.ids))

    def _embedded(self, dataset: Dataset, arms: Iterable[ArmName]) -> list[Path]:
        """Return the proteins of these arms, and of the candidates of migrations beside this one.

        Always in the same order: what is left out besides is a part of what a folder is made from.
        """
        folders = [self._protein_folder(dataset, ArmName.BASELINE)]
        folders = folders if ArmName.BASELINE in arms else []
        for each in self._kin:
            theirs = each._protein_folder(dataset, ArmName.CANDIDATE)
            if ArmName.CANDIDATE in arms if each is self else theirs.exists():
                folders.append(theirs)
        return folders

    def _protein_folder(self, dataset: Dataset, arm: ArmName) -> Path:
        if self._first is not None and arm is ArmName.BASELINE:
            return self._first._protein_folder(dataset, arm)
        return self._folder / arm / dataset.name / "protein"

    def embed(self, dataset: Dataset, arm: ArmName, embedder: Embedder) -> None:
        """Embed the proteins of a data set for one arm, once."""
        if self._first is not None and arm is ArmName.BASELINE:
            self._first.embed(dataset, arm, embedder)
            return
        folder = self._protein_folder(dataset, arm)
        if not folder.exists():
            budget = self._spec.arm(arm).tokens_per_batch
            self._extract(dataset.proteins, embedder, folder, arm, dataset, budget)

    def _dna_folder(self, dataset: Dataset) -> Path | None:
        if dataset.nucleotides is None:
            return dataset.dna_features
        if self._first is not None:
            return self._first._dna_folder(dataset)
        if dataset.name not in self._dna:
            folder = self._folder / "dna" / dataset.name
            plan = self._spec.dna
            self._extract(
                dataset.nucleotides,
                self._dna_embedder,
                folder,
                "dna",
                dataset,
                plan.tokens_per_batch,
            )
            self._dna[dataset.name] = folder
        return self._dna[dataset.name]

    @cached_property
    def _dna_embedder(self) -> Embedder:
        plan = self._spec.dna
        return load(
            plan.embedder,
            weights=plan.weights,
            device=self._spec.embedding.device,
            remote_code=plan.remote_code,
            revision=plan.revision,
        )

    def _extract(
        self,
        fasta: Path,
        embedder: Embedder,
        folder: Path,
        part: str,
        dataset: Dataset,
        tokens_per_batch: int,
    ) -> None:
        summary = features.extract(
            fasta,
            embedder,
            folder,
            tokens_per_batch=tokens_per_batch,
            shard_size=self._spec.embedding.shard_size,
        )
        self._extractions.append(
            Extraction(
                part=part,
                dataset=dataset.name,
                records=summary.records,
                embedded=summary.embedded,
                rejected=summary.rejected,
                residues=summary.residues,
                seconds=summary.elapsed_s,
            )
        )


def layout_of(folder: features.EmbeddingFolder) -> FeatureLayout:
    """Return which embedder made which columns, as a classifier keeps it."""
    return FeatureLayout(
        tuple(
            FeaturePart(part.name, part.width, part.sha256 or "unrecorded") for part in folder.parts
        )
    )
