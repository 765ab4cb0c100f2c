"""From a FASTA file to a folder of shards."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from embedders.batching import plan_batches
from embedders.contract import DEFAULT_TOKENS_PER_BATCH, Embedder
from embedders.errors import InputError
from harness.features.admission import admit
from harness.features.budget import find_budget
from harness.features.embedding import embed_rows
from harness.features.errors import EmbedderBroken, StrictRejection, WorkerHung, show_id
from harness.features.fasta import FastaSurvey, Record, read_fasta, survey_fasta
from harness.features.manifest import Budget, Manifest, Source, library_versions, part_of
from harness.features.pipeline import OneBehind, one_ahead
from harness.features.rejects import Reject, read_rejects
from harness.features.shard_files import Format
from harness.features.shards import DEFAULT_SHARD_SIZE, Kind, Shard
from harness.features.store import Store, check_store, open_store
from harness.features.summary import ExtractionSummary
from harness.features.windows import CleanWindow, clean_windows
from harness.features.worker import Worker
from harness.progress import bar as counting


def extract(
    fasta: Path,
    embedder: Embedder,
    folder: Path,
    *,
    tokens_per_batch: int | None = DEFAULT_TOKENS_PER_BATCH,
    shard_size: int = DEFAULT_SHARD_SIZE,
    shard_format: Format | str = Format.PT,
    strict: bool = False,
    progress: bool | None = None,
) -> ExtractionSummary:
    """Embed every record of a FASTA file into a folder of shards with a manifest.

    The file is read once to the end before anything is written, so that a fault in its last
    record stops the run at its start. Then a window of ``shard_size`` records at a time is
    cleaned, embedded in batches of like length, and written as one shard in input order. A
    rejected record leaves its window's shard a row shorter and is listed in ``rejects.csv``.

    Neither reading nor writing holds the embedder up: while a window is embedded, a thread reads
    and cleans the next one and another one writes, hashes and commits the one before. So at most
    three windows are in memory, the text of two and the vectors of two (those being written twice
    over), however large the file is: for 10,000 proteins of 350 residues and 1,280 values each,
    7 MB of text and 154 MB of vectors.

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
        Budget of one forward pass, BOS, EOS and padding (where the runtime pads) included. Where
        memory runs out, the failed batch is halved, and the smaller budget is kept for the rest.
        None: the one that the folder records, else :func:`harness.features.budget.find_budget`.
    shard_size
        Records per shard, at least 1.
    shard_format
        ``pt`` (the original pipeline's) or ``safetensors``.
    strict
        Stop at the first record that has to be rejected, before anything is written if the
        cleaning policy refuses it.
    progress
        Show a bar on standard error that counts records; None shows it where
        :func:`harness.progress.bars_wanted`.

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
    if tokens_per_batch is not None:
        plan_batches([], tokens_per_batch)  # refuses a wrong budget before the file is read
    check_store(folder)
    survey = survey_fasta(fasta)
    if strict:
        for record in read_fasta(fasta):
            admitted = admit(record, embedder.clean)
            if isinstance(admitted, Reject):
                raise _strict_rejection(fasta, admitted)
    plan = _plan(fasta, survey, embedder, shard_size, Format(shard_format))
    started = time.perf_counter()
    with (
        counting(survey.records, "record", shown=progress) as bar,
        open_store(folder, plan, verifying=partial(_show_verifying, bar)) as store,
    ):
        run = _Run(fasta, survey, store, embedder, tokens_per_batch, strict)
        if strict:
            _refuse_listed(store)
        if store.found < -(-survey.records // shard_size):
            run.settle_budget()
            run.complete(shard_size, bar)
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
            tokens_per_batch=run.budget.in_force,
            fixes=store.manifest.fixes,
            events=(*_aside(store), *run.events),
        )
        store.note("finished", summary=summary.sentence())
    return summary


class _Run:
    """The windows of one run, one after the other, and what it has learnt on the way."""

    def __init__(
        self,
        fasta: Path,
        survey: FastaSurvey,
        store: Store,
        embedder: Embedder,
        asked: int | None,
        strict: bool,
    ) -> None:
        default = Budget(DEFAULT_TOKENS_PER_BATCH, DEFAULT_TOKENS_PER_BATCH)
        settled = store.budget(asked)
        self.budget = settled or default
        self.resumed = 0
        self.events: list[str] = []
        self._to_find = settled is None and embedder.spec.parameters > 0
        self._fasta = fasta
        self._survey = survey
        self._store = store
        self._embedder = embedder
        self._strict = strict

    def settle_budget(self) -> None:
        """Find a budget if none is asked for or recorded, and record it before it is used."""
        if not self._to_find:
            return
        try:
            records = read_fasta(self._fasta, expected=self._survey)
            found = find_budget(records, self._survey.records, self._embedder)
        finally:
            self._tell_of_worker()
        self.budget = Budget(found.tokens_per_batch, found.tokens_per_batch)
        self._store.note("token budget", **found.details())
        self._store.settle(self.budget)
        self.events.extend(found.sentences())

    def complete(self, shard_size: int, bar: tqdm[NoReturn]) -> None:
        """Make every window that does not stand yet: read ahead, embed here, write behind."""
        records = read_fasta(self._fasta, expected=self._survey)
        standing = {window.number for window in self._store.manifest.windows}
        windows = clean_windows(records, shard_size, self._embedder, standing=standing)
        with OneBehind() as writing, closing(one_ahead(windows)) as coming:
            for window in coming:
                if window.number in standing:
                    self.resumed += window.records
                    bar.update(window.records)
                else:
                    bar.update(len(window.rejects))
                    writing.do(self._embed(window, bar))

    def _embed(self, window: CleanWindow, bar: tqdm[NoReturn]) -> Callable[[], None]:
        """Make one window, and return what writes it."""
        kept = window.kept
        try:
            done = embed_rows(
                [record.sequence for record in kept],
                self._embedder,
                self.budget.in_force,
                done=bar.update,
            )
        except EmbedderBroken as error:
            met = [kept[row] for row in error.rows]
            raise EmbedderBroken(f"{self._fasta}, {_named(met or kept)}: {error}") from error
        except WorkerHung as error:
            raise WorkerHung(f"{self._fasta}, {_named(kept)}: {error}") from error
        finally:
            self._tell_of_worker()  # even if the run ends here
        self._tell(done.events)
        self.budget = Budget(self.budget.asked, done.tokens_per_batch)
        refused = [
            Reject(kept[row].id, kept[row].number, reason) for row, reason in done.refused.items()
        ]
        rejects = sorted((*window.rejects, *refused), key=lambda reject: reject.position)
        if self._strict and rejects:
            raise _strict_rejection(self._fasta, rejects[0])
        kind = Kind(self._embedder.spec.modality.value)
        ids = tuple(kept[row].id for row in done.rows)
        return partial(
            self._store.add,
            window.number,
            shard=Shard(kind, ids, done.matrix) if ids else None,
            rejects=rejects,
            residues=sum(len(kept[row].sequence) for row in done.rows),
            fixes=dict(sorted(window.fixes.items())),
            budget=self.budget,
        )

    def _tell_of_worker(self) -> None:
        if isinstance(self._embedder, Worker):
            self._tell(self._embedder.take_events())

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
