"""From a FASTA file to a folder of shards."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from embedders.batching import plan_batches
from embedders.contract import DEFAULT_TOKENS_PER_BATCH, Embedder
from embedders.errors import InputError
from harness.features.admission import admit
from harness.features.embedding import embed_rows
from harness.features.errors import EmbedderBroken, StrictRejection, WorkerHung, show_id
from harness.features.fasta import FastaSurvey, Record, read_fasta, survey_fasta
from harness.features.manifest import Budget, Manifest, Source, library_versions, part_of
from harness.features.rejects import REJECTS_FILE, Reject, read_rejects
from harness.features.shard_files import Format
from harness.features.shards import DEFAULT_SHARD_SIZE, Kind, Shard
from harness.features.store import Store, check_store, open_store
from harness.features.worker import Worker


@dataclass(frozen=True, slots=True)
class ExtractionSummary:
    """What a run did; every record that came in was embedded or rejected.

    ``resumed`` counts the records that an earlier run had done; ``residues`` those of the embedded
    records after cleaning; ``elapsed_s`` is the wall time of this run, from the surveyed file to
    the finished folder. ``events`` are sentences on what went wrong and was handled.
    """

    folder: Path
    records: int
    embedded: int
    rejected: int
    residues: int
    shards: int
    elapsed_s: float
    resumed: int = 0
    tokens_per_batch: int = DEFAULT_TOKENS_PER_BATCH
    fixes: Counter[str] = field(default_factory=Counter)
    events: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.records != self.embedded + self.rejected:
            raise InputError(
                f"{self.records} records in, but {self.embedded} embedded and "
                f"{self.rejected} rejected"
            )

    def sentence(self) -> str:
        """Return the one line that ends a run."""
        fixed = f", {self.fixes.total():,} characters fixed" if self.fixes else ""
        listed = f" (listed in {self.folder / REJECTS_FILE})" if self.rejected else ""
        before = f"; {self.resumed:,} of them were done before" if self.resumed else ""
        return (
            f"{self.records:,} records = {self.embedded:,} embedded + {self.rejected:,} rejected"
            f"{listed}{fixed}; {self.residues:,} residues in {self.elapsed_s:.1f} s{before}"
        )


def extract(
    fasta: Path,
    embedder: Embedder,
    folder: Path,
    *,
    tokens_per_batch: int = DEFAULT_TOKENS_PER_BATCH,
    shard_size: int = DEFAULT_SHARD_SIZE,
    shard_format: Format | str = Format.PT,
    strict: bool = False,
    progress: bool | None = None,
) -> ExtractionSummary:
    """Embed every record of a FASTA file into a folder of shards with a manifest.

    The file is read once to the end before anything is written, so that a fault in its last
    record stops the run at its start. Then a window of ``shard_size`` records at a time is
    cleaned, embedded in batches of like length, and written as one shard in input order; memory
    does not grow with the file. A rejected record leaves its window's shard a row shorter and is
    listed in ``rejects.csv``.

    A run that ended early, however it ended, is resumed by the same call: windows that stand are
    verified and kept, the others are made. On the same machine with the same budget the outcome is
    that of an unbroken run, byte for byte.

    Parameters
    ----------
    fasta
        Plain or gzip.
    embedder
        Whose :meth:`~embedders.contract.Embedder.clean` and ``embed`` are used.
    folder
        Missing, empty, or begun by an equal run; baseline and candidate each have their own.
    tokens_per_batch
        Budget of one forward pass, padding, BOS and EOS included. Where memory runs out, the
        failed batch is halved, and the smaller budget is kept for the rest.
    shard_size
        Records per shard, at least 1.
    shard_format
        ``pt`` (the original pipeline's) or ``safetensors``.
    strict
        Stop at the first record that has to be rejected, before anything is written if the
        cleaning policy refuses it.
    progress
        Show a bar on standard error; None shows it on a terminal only.

    Raises
    ------
    FastaError
        If the file as a whole cannot be trusted, or changes during the run.
    FolderError
        If the folder holds anything else, another writer has it, or it cannot be written to.
    StrictRejection
        With ``strict``, on the first rejected record.
    EmbedderBroken, WorkerHung
        If the embedder fails whatever it is given, or does not answer.
    """
    if shard_size < 1:
        raise InputError(f"shard_size must be at least 1, not {shard_size}")
    plan_batches([], tokens_per_batch)  # refuses a wrong budget before the file is read
    check_store(folder)
    survey = survey_fasta(fasta)
    if strict:
        for record in read_fasta(fasta):
            admitted = admit(record, embedder)
            if isinstance(admitted, Reject):
                raise _strict_rejection(fasta, admitted)
    plan = _plan(fasta, survey, embedder, shard_size, Format(shard_format))
    started = time.perf_counter()
    hidden = None if progress is None else not progress
    with (
        tqdm(total=survey.records, unit="record", disable=hidden) as bar,
        open_store(folder, plan, verifying=partial(_show_verifying, bar)) as store,
    ):
        run = _Run(fasta, store, embedder, tokens_per_batch, strict)
        if strict:
            _refuse_listed(store)
        if store.found < -(-survey.records // shard_size):
            windows = _windows(read_fasta(fasta, expected=survey), shard_size)
            for number, records in enumerate(windows):
                if store.has(number):
                    run.resumed += len(records)
                else:
                    run.embed(number, records)
                bar.update(len(records))
        else:
            run.resumed = survey.records
            bar.update(survey.records)
        store.finish()
        totals = store.manifest.totals
        summary = ExtractionSummary(
            folder=folder,
            records=totals["records"],
            embedded=totals["embedded"],
            rejected=totals["rejected"],
            residues=totals["residues"],
            shards=len(store.manifest.shards),
            elapsed_s=time.perf_counter() - started,
            resumed=run.resumed,
            tokens_per_batch=run.tokens_per_batch,
            fixes=store.manifest.fixes,
            events=(*_aside(store), *run.events),
        )
        store.note("finished", summary=summary.sentence())
    return summary


class _Run:
    """The windows of one run, one after the other, and what it has learnt on the way."""

    def __init__(
        self, fasta: Path, store: Store, embedder: Embedder, asked: int, strict: bool
    ) -> None:
        self.tokens_per_batch = store.tokens_per_batch(asked)
        self.resumed = 0
        self.events: list[str] = []
        self._fasta = fasta
        self._store = store
        self._embedder = embedder
        self._asked = asked
        self._strict = strict

    def embed(self, number: int, records: Sequence[Record]) -> None:
        """Make one window and write it."""
        rejects: list[Reject] = []
        fixes: Counter[str] = Counter()
        kept: list[Record] = []
        residues: list[str] = []
        for record in records:
            fixes.update(record.fixes)
            admitted = admit(record, self._embedder)
            if isinstance(admitted, Reject):
                rejects.append(admitted)
            else:
                fixes.update(admitted.fixes)
                kept.append(record)
                residues.append(admitted.residues)
        try:
            done = embed_rows(residues, self._embedder, self.tokens_per_batch)
        except EmbedderBroken as error:
            met = [kept[row] for row in error.rows]
            raise EmbedderBroken(f"{self._fasta}, {_named(met or kept)}: {error}") from error
        except WorkerHung as error:
            raise WorkerHung(f"{self._fasta}, {_named(kept)}: {error}") from error
        finally:
            # told even if the run ends here
            self._tell(self._embedder.take_events() if isinstance(self._embedder, Worker) else ())
        self._tell(done.events)
        self.tokens_per_batch = done.tokens_per_batch
        for row, reason in done.refused.items():
            rejects.append(Reject(kept[row].id, kept[row].number, reason))
        rejects.sort(key=lambda reject: reject.position)
        if self._strict and rejects:
            raise _strict_rejection(self._fasta, rejects[0])
        kind = Kind(self._embedder.spec.modality.value)
        ids = tuple(kept[row].id for row in done.rows)
        self._store.add(
            number,
            shard=Shard(kind, ids, done.matrix) if ids else None,
            rejects=rejects,
            residues=sum(len(residues[row]) for row in done.rows),
            fixes=dict(sorted(fixes.items())),
            budget=Budget(self._asked, self.tokens_per_batch),
        )

    def _tell(self, events: Sequence[str]) -> None:
        for event in events:
            self._store.note("handled", what=event)
        self.events.extend(events)


def _plan(
    fasta: Path, survey: FastaSurvey, embedder: Embedder, shard_size: int, shard_format: Format
) -> Manifest:
    spec = embedder.spec
    return Manifest(
        kind=Kind(spec.modality.value),
        width=spec.width,
        parts=(part_of(spec),),
        embedder=spec,
        sources=(Source(fasta.name, survey.sha256, survey.records),),
        shard_size=shard_size,
        format=shard_format,
        versions=library_versions(),
    )


def _windows(records: Iterator[Record], size: int) -> Iterator[list[Record]]:
    while window := list(islice(records, size)):
        yield window


def _named(records: Sequence[Record]) -> str:
    first, last = records[0], records[-1]
    if len(records) == 1:
        return f"record {first.number} ({show_id(first.id)})"
    return (
        f"among records {first.number} ({show_id(first.id)}) to {last.number} ({show_id(last.id)})"
    )


def _strict_rejection(fasta: Path, reject: Reject) -> StrictRejection:
    return StrictRejection(
        f"{fasta}, record {reject.position} ({show_id(reject.id)}): {reject.reason}; mend or "
        "remove it, or run without --strict to go on without it"
    )


def _refuse_listed(store: Store) -> None:
    """Hold a strict run to what an earlier, lenient one has left out."""
    listed = next((each.rejects for each in store.manifest.windows if each.rejects), None)
    if listed is not None:
        first = read_rejects(store.folder / listed.file)[0]
        raise StrictRejection(
            f"{store.folder}: holds a run that left out record {first.position} "
            f"({show_id(first.id)}): {first.reason}; choose another folder, or run without --strict"
        )


def _show_verifying(bar: tqdm[NoReturn], done: int, whole: int) -> None:
    bar.set_description(f"verifying {done:,} of {whole:,}" if done < whole else None)


def _aside(store: Store) -> list[str]:
    return [
        f"{path.name.rpartition('.')[0]} was not what the manifest promises: it is now {path}, and "
        "was made again"
        for path in store.aside
    ]
