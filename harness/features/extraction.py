"""From a FASTA file to a folder of shards."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import torch

from embedders.batching import plan_batches
from embedders.contract import DEFAULT_TOKENS_PER_BATCH, Cleaned, Embedder, EmbedderSpec, Truncation
from embedders.errors import InputError, RejectedSequence
from harness.features.errors import FastaError, StrictRejection
from harness.features.fasta import Record, read_fasta, survey_fasta
from harness.features.folders import add_shard, begin_folder, claim_folder
from harness.features.manifest import (
    Manifest,
    Source,
    library_versions,
    part_of,
    write_manifest,
)
from harness.features.rejects import REJECTS_FILE, Reject, write_rejects
from harness.features.shards import DEFAULT_SHARD_SIZE, Kind, Shard


@dataclass(frozen=True, slots=True)
class ExtractionSummary:
    """What a run did; every record that came in was embedded or rejected.

    ``residues`` counts those of the embedded records after cleaning; ``elapsed_s`` is wall time
    from the first record to the finished folder.
    """

    folder: Path
    records: int
    embedded: int
    rejected: int
    residues: int
    shards: int
    elapsed_s: float
    fixes: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        if self.records != self.embedded + self.rejected:
            raise InputError(
                f"{self.records} records in, but {self.embedded} embedded and "
                f"{self.rejected} rejected"
            )

    @property
    def residues_per_s(self) -> float:
        """Residues embedded per second of wall time."""
        return self.residues / self.elapsed_s

    def sentence(self) -> str:
        """Return the one line that ends a run."""
        fixed = f", {self.fixes.total():,} characters fixed" if self.fixes else ""
        listed = f" (listed in {self.folder / REJECTS_FILE})" if self.rejected else ""
        return (
            f"{self.records:,} records = {self.embedded:,} embedded + {self.rejected:,} rejected"
            f"{listed}{fixed}; {self.residues:,} residues in {self.elapsed_s:.1f} s"
        )


@dataclass(frozen=True, slots=True)
class _Window:
    """The outcome of one window of records: at most one shard, and what was left out."""

    shard: Shard | None
    rejects: tuple[Reject, ...]
    residues: int
    fixes: Counter[str]


def extract(
    fasta: Path,
    embedder: Embedder,
    folder: Path,
    *,
    tokens_per_batch: int = DEFAULT_TOKENS_PER_BATCH,
    shard_size: int = DEFAULT_SHARD_SIZE,
    strict: bool = False,
    progress: bool | None = None,
) -> ExtractionSummary:
    """Embed every record of a FASTA file into a new folder of shards with a manifest.

    The file is read once to the end before anything is written, so that a fault in its last
    record stops the run at its start. Then a window of ``shard_size`` records at a time is
    cleaned, embedded in batches of like length, and written as one shard in input order; memory
    does not grow with the file, ids aside. A rejected record leaves its window's shard a row
    shorter and is listed in ``rejects.csv``.

    Parameters
    ----------
    fasta
        Plain or gzip.
    embedder
        Whose :meth:`~embedders.contract.Embedder.clean` and ``embed`` are used.
    folder
        Missing or empty; baseline and candidate each have their own.
    tokens_per_batch
        Budget of one forward pass, padding, BOS and EOS included.
    shard_size
        Records per shard, at least 1.
    strict
        Stop at the first record that has to be rejected, before anything is written if the
        cleaning policy refuses it.
    progress
        Show a bar on standard error; None shows it on a terminal only.

    Raises
    ------
    FastaError
        If the file as a whole cannot be trusted.
    FolderError
        If the folder holds anything or cannot be written to.
    StrictRejection
        With ``strict``, on the first rejected record.
    """
    from tqdm import tqdm  # noqa: PLC0415 - only where a bar is drawn

    if shard_size < 1:
        raise InputError(f"shard_size must be at least 1, not {shard_size}")
    plan_batches([], tokens_per_batch)  # refuses a wrong budget before the file is read
    survey = survey_fasta(fasta)
    if strict:
        for record in read_fasta(fasta):
            _admit(record, embedder, strict=True)
    started = time.perf_counter()
    manifest = Manifest(
        kind=Kind(embedder.spec.modality.value),
        width=embedder.spec.width,
        parts=(part_of(embedder.spec),),
        embedder=embedder.spec,
        sources=(Source(fasta.name, survey.sha256, survey.records),),
        shard_size=shard_size,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=library_versions(),
    )
    claim_folder(folder)
    begin_folder(folder, manifest)
    rejects: list[Reject] = []
    residues = 0
    with tqdm(
        total=survey.records, unit="record", disable=None if progress is None else not progress
    ) as bar:
        for number, records in enumerate(_windows(read_fasta(fasta), shard_size)):
            window = _embed_window(records, embedder, tokens_per_batch, strict=strict)
            rejects.extend(window.rejects)
            residues += window.residues
            manifest = _record(folder, manifest, number, window, len(records))
            bar.update(len(records))
    if manifest.records != survey.records:
        raise FastaError(
            fasta,
            f"had {survey.records} records at first and {manifest.records} later",
            f"leave the file alone during a run, delete {folder} and run again",
        )
    write_rejects(folder, rejects)
    write_manifest(folder, replace(manifest, complete=True))
    return ExtractionSummary(
        folder=folder,
        records=manifest.records,
        embedded=manifest.embedded,
        rejected=manifest.rejected,
        residues=residues,
        shards=len(manifest.shards),
        elapsed_s=time.perf_counter() - started,
        fixes=Counter(manifest.fixes),
    )


def _windows(records: Iterator[Record], size: int) -> Iterator[list[Record]]:
    while window := list(islice(records, size)):
        yield window


def _embed_window(
    records: Sequence[Record], embedder: Embedder, tokens_per_batch: int, *, strict: bool
) -> _Window:
    rejects: list[Reject] = []
    fixes: Counter[str] = Counter()
    kept: list[Record] = []
    residues: list[str] = []
    for record in records:
        admitted = _admit(record, embedder, strict=strict)
        fixes.update(record.fixes)
        if isinstance(admitted, Reject):
            rejects.append(admitted)
            continue
        fixes.update(admitted.fixes)
        kept.append(record)
        residues.append(admitted.residues)
    matrix = _embed_rows(residues, embedder, tokens_per_batch)
    finite = torch.isfinite(matrix).all(dim=1).tolist()
    for record, good in zip(kept, finite, strict=True):
        if not good:
            rejects.append(_refuse(record, _not_finite(embedder.spec), strict=strict))
    rows = [row for row, good in enumerate(finite) if good]
    shard = None
    if rows:
        ids = tuple(kept[row].id for row in rows)
        shard = Shard(Kind(embedder.spec.modality.value), ids, matrix[rows])
    rejects.sort(key=lambda reject: reject.position)
    return _Window(shard, tuple(rejects), sum(len(residues[row]) for row in rows), fixes)


def _admit(record: Record, embedder: Embedder, *, strict: bool) -> Cleaned | Reject:
    """Clean a record, or say why it is left out."""
    if not record.sequence:
        return _refuse(record, "no sequence under the title line", strict=strict)
    # a '>' behind a '<' is a token written out, which the cleaning policy has its own words for
    if ">" in record.sequence and "<" not in record.sequence:
        return _refuse(record, "a '>' inside a line: a line break is missing", strict=strict)
    if "\0" in record.id:
        return _refuse(record, "a NUL byte in the id", strict=strict)
    try:
        return embedder.clean(record.sequence)
    except RejectedSequence as rejection:
        return _refuse(record, rejection.reason, strict=strict)


def _refuse(record: Record, reason: str, *, strict: bool) -> Reject:
    if strict:
        raise StrictRejection(
            f"record {record.number} ({record.id!r}): {reason}; mend or remove it, or run without "
            "--strict to go on without it"
        )
    return Reject(record.id, record.number, reason)


def _not_finite(spec: EmbedderSpec) -> str:
    remedy = "; float16 overflows: use bfloat16" if spec.dtype == "float16" else ""
    return f"its embedding holds NaN or infinity{remedy}"


def _embed_rows(residues: Sequence[str], embedder: Embedder, tokens_per_batch: int) -> torch.Tensor:
    """Embed cleaned sequences in batches of like length; float32 ``(n, d)`` in input order."""
    spec = embedder.spec
    window = spec.window_residues if spec.truncation is Truncation.TRUNCATE else None
    lengths = [len(each[:window]) for each in residues]
    matrix = torch.empty(len(residues), spec.width)
    for batch in plan_batches(lengths, tokens_per_batch):
        matrix[batch] = _embed_batch([residues[row] for row in batch], embedder, tokens_per_batch)
    return matrix


def _embed_batch(
    residues: Sequence[str], embedder: Embedder, tokens_per_batch: int
) -> torch.Tensor:
    """Run one batch; what happens when memory runs out belongs here and nowhere else."""
    vectors = embedder.embed(residues, tokens_per_batch=tokens_per_batch)
    expected = (len(residues), embedder.spec.width)
    if tuple(vectors.shape) != expected or vectors.dtype != torch.float32:
        raise TypeError(
            f"{embedder.spec.name} returned {vectors.dtype} {tuple(vectors.shape)} "
            f"where float32 {expected} is promised"
        )
    return vectors


def _record(
    folder: Path, manifest: Manifest, number: int, window: _Window, records: int
) -> Manifest:
    """Write a window's shard, then the manifest that vouches for it."""
    shards = manifest.shards
    if window.shard is not None:
        shards = (*shards, add_shard(folder, number, window.shard))
    grown = replace(
        manifest,
        shards=shards,
        records=manifest.records + records,
        embedded=sum(shard.rows for shard in shards),
        rejected=manifest.rejected + len(window.rejects),
        fixes=dict(Counter(manifest.fixes) + window.fixes),
    )
    write_manifest(folder, grown)
    return grown
