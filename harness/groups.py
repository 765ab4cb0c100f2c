"""The rows of a data set in groups that no fold parts, and what the groups came from."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from embedders import InputError
from embedders.alphabet import clean_protein
from harness import features, judge
from harness.evidence import Grouping
from harness.provenance import sha256
from harness.spec import Dataset, GroupSource, MigrationSpec, Splits

MOST_SEARCHED_FOR_THE_REPORT = 20_000
"""Where homology does not decide the groups, more proteins are not searched: the time of a search
grows with the square, and only the leak report would need it."""


def grouped(dataset: Dataset, plan: Splits) -> tuple[judge.Rows, judge.Homologues | None]:
    """Return the labelled rows that the cleaning policy takes, grouped, and what was searched.

    Raises
    ------
    InputError
        If ids of proteins and labels do not match, the column of groups is not there, the search
        tool is missing or fails, or a contig would be parted.
    """
    table = features.read_labels(dataset.labels)
    labelled = set(table.ids)
    admitted, rejected = features.admitted_records(dataset.proteins, clean_protein)
    proteins = {each: residues for each, residues in admitted.items() if each in labelled}
    ids = tuple(proteins)
    labels = features.join_labels(ids, table, rejected=rejected)
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


def described(
    dataset: Dataset,
    rows: judge.Rows,
    homologues: judge.Homologues | None,
    file: Path,
    spec: MigrationSpec,
) -> Grouping:
    """Return the record of a grouping, and of the leaks that it prevents.

    Parameters
    ----------
    file
        The table of the rows, in a folder of the run's own.
    """
    plan, training = spec.splits, spec.classification
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
        file=file.relative_to(file.parent.parent).as_posix(),
        sha256=sha256(file),
        leaks=judge.leak_checks(rows, homologues, folds=training.folds, seeds=training.seeds)
        if homologues
        else (),
    )


def _frame_of(record_id: str) -> str:
    """Return the reading frame that an id names, or nothing for an id that is no frame id."""
    try:
        return features.FrameId.parse(record_id).frame
    except InputError:
        return ""
