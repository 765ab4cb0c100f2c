"""The data sets of one run as labelled features, each arm in folders of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice
from pathlib import Path

import torch

from embedders import Embedder, InputError, load
from embedders.alphabet import clean_protein
from harness import features, judge
from harness.evidence import Grouping
from harness.files import make_folder
from harness.provenance import sha256
from harness.results import Extraction
from harness.spec import Arm, ArmName, Dataset, GroupSource, MigrationSpec

MOST_SEARCHED_FOR_THE_REPORT = 20_000
"""Where homology does not decide the groups, more proteins are not searched: the time of a search
grows with the square, and only the leak report would need it."""


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
    """

    def __init__(self, spec: MigrationSpec, folder: Path) -> None:
        self.extractions: list[Extraction] = []
        self._spec = spec
        self._folder = folder
        self._dna: dict[str, Path] = {}
        self._rows: dict[str, judge.Rows] = {}
        self._groupings: dict[str, Grouping] = {}
        self._ids: dict[str, tuple[str, ...]] = {}

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
            self._proteins(dataset, each, embedder)
        others = [self._protein_folder(dataset, each) for each in embedders if each is not arm]
        without = [reject for other in others for reject in features.read_rejects(other)]
        protein = self._protein_folder(dataset, arm)
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
            rows, homologues = self._group(dataset)
            file = self._folder.with_name("splits") / f"{dataset.name}.csv"
            make_folder(file.parent)
            judge.write_rows(file, rows)
            self._groupings[dataset.name] = self._describe(dataset, rows, homologues, file)
            self._rows[dataset.name] = rows
        return self._rows[dataset.name]

    def strata(self, dataset: Dataset) -> Mapping[str, tuple[str, ...]]:
        """Return the stratum of each row that was last classified, by kind; else of every row."""
        rows = self.rows(dataset)
        return judge.strata(rows, self._ids.get(dataset.name, rows.ids))

    def _group(self, dataset: Dataset) -> tuple[judge.Rows, judge.Homologues | None]:
        plan = self._spec.splits
        proteins, rejected = _labelled_proteins(dataset)
        ids = tuple(proteins)
        labels = features.join_labels(ids, features.read_labels(dataset.labels), rejected=rejected)
        decides = GroupSource.HOMOLOGY in plan.groups
        homologues = None
        if decides or len(ids) <= MOST_SEARCHED_FOR_THE_REPORT:
            homologues = judge.find_homologues(list(proteins.values()), plan)
        clusters = ("",) * len(ids) if homologues is None else homologues.clusters(ids)
        contigs = tuple(map(features.contig_of, ids))
        groups = labels.column(plan.column)
        rows = judge.Rows(
            ids=ids,
            contigs=contigs,
            labels=tuple(judge.CLASSES[label] for label in labels.labels.tolist()),
            groups=groups,
            clusters=clusters,
            components=judge.joined(groups, contigs, clusters, plan.groups),
            residues=tuple(map(len, proteins.values())),
            frames=tuple(map(_frame_of, ids)),
        )
        return rows, homologues

    def _describe(
        self,
        dataset: Dataset,
        rows: judge.Rows,
        homologues: judge.Homologues | None,
        file: Path,
    ) -> Grouping:
        plan, training = self._spec.splits, self._spec.classification
        searched = homologues is not None
        return Grouping(
            dataset=dataset.name,
            sources=tuple(source.value for source in plan.groups),
            tool=homologues.tool if homologues else None,
            tool_version=homologues.version if homologues else None,
            identity=plan.identity if searched else None,
            coverage=plan.coverage if searched else None,
            rows=len(rows),
            given_groups=len(set(rows.groups)),
            clusters=len(set(rows.clusters)) if searched else None,
            components=len(set(rows.components)),
            largest_rows=max(Counter(rows.components).values()),
            file=file.relative_to(self._folder.parent).as_posix(),
            sha256=sha256(file),
            leaks=judge.leak_checks(rows, homologues, folds=training.folds, seeds=training.seeds)
            if homologues
            else (),
        )

    def _protein_folder(self, dataset: Dataset, arm: ArmName) -> Path:
        return self._folder / arm / dataset.name / "protein"

    def _proteins(self, dataset: Dataset, arm: ArmName, embedder: Embedder) -> None:
        """Embed the proteins of a data set for one arm, once."""
        folder = self._protein_folder(dataset, arm)
        if not folder.exists():
            budget = self._spec.arm(arm).tokens_per_batch
            self._extract(dataset.proteins, embedder, folder, arm, dataset, budget)

    def _dna_folder(self, dataset: Dataset) -> Path | None:
        if dataset.nucleotides is None:
            return dataset.dna_features
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
        self.extractions.append(
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


def _labelled_proteins(dataset: Dataset) -> tuple[dict[str, str], set[str]]:
    """Return the cleaned proteins of labelled records by id, and the ids that cleaning rejects."""
    labelled = set(features.read_labels(dataset.labels).ids)
    proteins: dict[str, str] = {}
    rejected: set[str] = set()
    for record in features.read_fasta(dataset.proteins):
        cleaned = features.admit(record, clean_protein)
        if isinstance(cleaned, features.Reject):
            rejected.add(record.id)
        elif record.id in labelled:
            proteins[record.id] = cleaned.residues
    return proteins, rejected


def _frame_of(record_id: str) -> str:
    """Return the reading frame that an id names, or nothing for an id that is no frame id."""
    try:
        return features.FrameId.parse(record_id).frame
    except InputError:
        return ""
