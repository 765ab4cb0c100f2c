"""From a FASTA file to a folder of shards."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from embedders.batching import plan_batches
from embedders.contract import DEFAULT_TOKENS_PER_BATCH, Cleaned, Embedder, EmbedderSpec
from embedders.errors import InputError
from harness.features.admission import admit
from harness.features.budget import Found, find_budget
from harness.features.errors import StrictRejection, show_id
from harness.features.fasta import FastaSurvey, read_fasta, survey_fasta
from harness.features.making import Engine, Job, Made, make_window, worker_events
from harness.features.manifest import Budget, Manifest, Source, library_versions, part_of
from harness.features.pipeline import OneBehind, one_ahead
from harness.features.rejects import Reject, read_rejects
from harness.features.shard_files import Format
from harness.features.shards import DEFAULT_SHARD_SIZE, Kind, Shard
from harness.features.store import Store, check_store, open_store
from harness.features.summary import ExtractionSummary
from harness.features.windows import clean_windows
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
    return extract_by(
        OneEmbedder(embedder),
        fasta,
        folder,
        tokens_per_batch=tokens_per_batch,
        shard_size=shard_size,
        shard_format=shard_format,
        strict=strict,
        progress=progress,
    )


def extract_by(
    engine: Engine,
    fasta: Path,
    folder: Path,
    *,
    tokens_per_batch: int | None = DEFAULT_TOKENS_PER_BATCH,
    shard_size: int = DEFAULT_SHARD_SIZE,
    shard_format: Format | str = Format.PT,
    strict: bool = False,
    progress: bool | None = None,
) -> ExtractionSummary:
    """Do what :func:`extract` does, by whatever makes the windows.

    This process reads the file once, holds the folder's lock and is the only one that writes;
    windows are written as they come, in any order.
    """
    if shard_size < 1:
        raise InputError(f"shard_size must be at least 1, not {shard_size}")
    if tokens_per_batch is not None:
        plan_batches([], tokens_per_batch)  # refuses a wrong budget before the file is read
    check_store(folder)
    survey = survey_fasta(fasta)
    if strict:
        for record in read_fasta(fasta):
            admitted = admit(record, engine.clean)
            if isinstance(admitted, Reject):
                raise _strict_rejection(fasta, admitted)
    plan = _plan(fasta, survey, engine.spec, shard_size, Format(shard_format))
    started = time.perf_counter()
    with (
        counting(survey.records, "record", shown=progress) as bar,
        open_store(folder, plan, verifying=partial(_show_verifying, bar)) as store,
    ):
        run = _Run(fasta, survey, store, engine, tokens_per_batch, strict)
        if strict:
            _refuse_listed(store)
        bar.update(run.resumed)
        if run.resumed < survey.records:
            run.settle_budget()
            run.complete(bar.update)
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


class OneEmbedder:
    """The engine on one machine: reads ahead and embeds, in this process or behind a worker."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    @property
    def spec(self) -> EmbedderSpec:
        """What the embedder is."""
        return self._embedder.spec

    def clean(self, sequence: str) -> Cleaned:
        """Apply its cleaning policy."""
        return self._embedder.clean(sequence)

    def find_budget(self, fasta: Path, survey: FastaSurvey) -> Found:
        """Find a token budget, or the one that is remembered."""
        return find_budget(read_fasta(fasta, expected=survey), survey.records, self._embedder)

    def make(self, job: Job, settled: Callable[[int], object]) -> Generator[Made, None, None]:
        """Yield the missing windows in order; the budget never grows again."""
        records = read_fasta(job.fasta, expected=job.survey)
        windows = clean_windows(records, job.shard_size, self._embedder, standing=job.standing)
        budget = job.tokens_per_batch
        with closing(one_ahead(windows)) as coming:
            for window in coming:
                if window.number in job.standing:
                    continue
                settled(len(window.rejects))
                made = make_window(window, self._embedder, budget, fasta=job.fasta, settled=settled)
                budget = made.tokens_per_batch
                yield made

    def take_events(self) -> tuple[str, ...]:
        """Return what its worker went through."""
        return worker_events(self._embedder)


class _Run:
    """The windows of one run, as they come, and what it has learnt on the way."""

    def __init__(
        self,
        fasta: Path,
        survey: FastaSurvey,
        store: Store,
        engine: Engine,
        asked: int | None,
        strict: bool,
    ) -> None:
        default = Budget(DEFAULT_TOKENS_PER_BATCH, DEFAULT_TOKENS_PER_BATCH)
        settled = store.budget(asked)
        self.budget = settled or default
        self.resumed = store.manifest.totals["records"]
        self.events: list[str] = []
        self._to_find = settled is None and engine.spec.parameters > 0
        self._fasta = fasta
        self._survey = survey
        self._store = store
        self._engine = engine
        self._strict = strict

    def settle_budget(self) -> None:
        """Find a budget if none is asked for or recorded, and record it before it is used."""
        if not self._to_find:
            return
        try:
            found = self._engine.find_budget(self._fasta, self._survey)
        finally:
            self._tell(self._engine.take_events())
        self.budget = Budget(found.tokens_per_batch, found.tokens_per_batch)
        self._store.note("token budget", **found.details())
        self._store.settle(self.budget)
        self.events.extend(found.sentences())

    def complete(self, settled: Callable[[int], object]) -> None:
        """Make every window that does not stand yet, and write it behind the next one's making."""
        manifest = self._store.manifest
        job = Job(
            self._fasta,
            self._survey,
            manifest.shard_size,
            frozenset(window.number for window in manifest.windows),
            self.budget.in_force,
        )
        with OneBehind() as writing, closing(self._engine.make(job, settled)) as windows:
            try:
                for made in windows:
                    writing.do(self._writing(made))
            finally:
                self._tell(self._engine.take_events())  # even if the run ends here

    def _writing(self, made: Made) -> Callable[[], None]:
        """Return what writes a window."""
        self._tell(made.events)
        in_force = min(self.budget.in_force, made.tokens_per_batch)
        self.budget = Budget(self.budget.asked, in_force)
        if self._strict and made.rejects:
            raise _strict_rejection(self._fasta, made.rejects[0])
        kind = Kind(self._engine.spec.modality.value)
        return partial(
            self._store.add,
            made.number,
            shard=Shard(kind, made.ids, made.matrix) if made.ids else None,
            rejects=made.rejects,
            residues=made.residues,
            fixes=made.fixes,
            budget=self.budget,
        )

    def _tell(self, events: Sequence[str]) -> None:
        for event in events:
            self._store.note("handled", what=event)
        self.events.extend(events)


def _plan(
    fasta: Path, survey: FastaSurvey, spec: EmbedderSpec, shard_size: int, shard_format: Format
) -> Manifest:
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
