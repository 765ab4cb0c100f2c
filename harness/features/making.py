"""How a window becomes vectors, and what makes all windows of a run: here, or on many machines."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from embedders.contract import Embedder
from harness.features.admission import Cleaner
from harness.features.budget import Found
from harness.features.embedding import embed_rows
from harness.features.errors import EmbedderBroken, WorkerHung, show_id
from harness.features.fasta import FastaSurvey, Record
from harness.features.rejects import Reject
from harness.features.windows import CleanWindow
from harness.features.worker import Worker


@dataclass(frozen=True, slots=True)
class Made:
    """One window as it is written; all but ``number`` depends on its records alone.

    ``matrix``: float32 ``(m, d)``, rows as in ``ids``. ``rejects`` are in the order of the input.
    ``tokens_per_batch`` is the budget in force at the end, ``events`` what was handled on the way.
    """

    number: int
    ids: tuple[str, ...]
    matrix: torch.Tensor
    rejects: tuple[Reject, ...]
    residues: int
    fixes: dict[str, int]
    tokens_per_batch: int
    events: tuple[str, ...] = ()

    @property
    def records(self) -> int:
        """How many came in."""
        return len(self.ids) + len(self.rejects)


@dataclass(frozen=True, slots=True)
class Job:
    """What is left to be made of a FASTA file: all windows but the ``standing`` ones."""

    fasta: Path
    survey: FastaSurvey
    shard_size: int
    standing: frozenset[int]
    tokens_per_batch: int

    @property
    def windows(self) -> int:
        """How many windows the whole file has."""
        return -(-self.survey.records // self.shard_size)


class Engine(Cleaner, Protocol):
    """One embedder, wherever it runs and however many copies there are of it."""

    def find_budget(self, fasta: Path, survey: FastaSurvey) -> Found:
        """Find a token budget, as :func:`harness.features.budget.find_budget` does."""
        ...

    def make(self, job: Job, settled: Callable[[int], object]) -> Generator[Made, None, None]:
        """Yield each missing window once, in any order.

        ``settled`` is told of records as they are done; in all it hears of every record of the
        missing windows once.
        """
        ...

    def take_events(self) -> Sequence[str]:
        """Return what was handled since the last call and came with no window."""
        ...


def make_window(
    window: CleanWindow,
    embedder: Embedder,
    tokens_per_batch: int,
    *,
    fasta: Path,
    settled: Callable[[int], object] = lambda _: None,
) -> Made:
    """Embed one window; what fails is narrowed down as :func:`embed_rows` does it.

    Raises
    ------
    EmbedderBroken, WorkerHung
        As they come, with the file and the records they came at.
    """
    kept = window.kept
    try:
        done = embed_rows(
            [record.sequence for record in kept], embedder, tokens_per_batch, done=settled
        )
    except EmbedderBroken as error:
        met = [kept[row] for row in error.rows]
        raise EmbedderBroken(f"{fasta}, {_named(met or kept)}: {error}") from error
    except WorkerHung as error:
        raise WorkerHung(f"{fasta}, {_named(kept)}: {error}") from error
    refused = [
        Reject(kept[row].id, kept[row].number, reason) for row, reason in done.refused.items()
    ]
    rejects = sorted((*window.rejects, *refused), key=lambda reject: reject.position)
    return Made(
        window.number,
        ids=tuple(kept[row].id for row in done.rows),
        matrix=done.matrix,
        rejects=tuple(rejects),
        residues=sum(len(kept[row].sequence) for row in done.rows),
        fixes=dict(sorted(window.fixes.items())),
        tokens_per_batch=done.tokens_per_batch,
        events=(*worker_events(embedder), *done.events),
    )


def worker_events(embedder: Embedder) -> tuple[str, ...]:
    """Return what a worker had to handle since the last call; nothing where there is none."""
    return embedder.take_events() if isinstance(embedder, Worker) else ()


def _named(records: Sequence[Record]) -> str:
    first, last = records[0], records[-1]
    if len(records) == 1:
        return f"record {first.number} ({show_id(first.id)})"
    return (
        f"among records {first.number} ({show_id(first.id)}) to {last.number} ({show_id(last.id)})"
    )
