"""What runs in an actor: an embedder in a process of its own, as on one machine.

The actor keeps that process warm and outlives it. So a record that crashes or hangs the model, or
takes more memory than there is, costs no actor, and meets the same rules as without a cluster.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import torch

from embedders.contract import Embedder, EmbedderSpec
from harness.cluster.rows import made_row, read_window
from harness.features.budget import Found, Sample, recall_budget, search_budget
from harness.features.embedding import RECORD_FAILURES
from harness.features.errors import EmbedderBroken
from harness.features.making import make_window
from harness.features.resident import Failure
from harness.features.windows import clean_window
from harness.features.worker import Worker

# what is a record's fault, a machine's, or the code's: an answer in any case, not a lost worker
_FAULTS = (*RECORD_FAILURES, OSError, ImportError, AttributeError, TypeError)
_Answer = TypeVar("_Answer")


class Scout:
    """The first to load the embedder: says what it is, and which token budget serves it best."""

    def __init__(self, loader: Callable[[], Embedder], threads: int, timeout_s: float) -> None:
        self._threads = threads
        self._worker = Worker(loader, timeout_s=timeout_s)

    def spec(self) -> EmbedderSpec | Failure:
        """Load the embedder."""
        return self._answer(lambda: self._worker.spec)

    def recall(self) -> Found | tuple[str, ...] | Failure:
        """Ask for the budget that is remembered on this machine."""
        return self._answer(lambda: recall_budget(self._worker.spec))

    def search(self, sample: Sample, troubles: tuple[str, ...]) -> Found | Failure:
        """Search for a budget, and remember it on this machine."""
        return self._answer(lambda: search_budget(sample, self._worker, troubles=troubles))

    def take_events(self) -> tuple[str, ...]:
        """Return what the embedder's process went through."""
        return self._worker.take_events()

    def close(self) -> None:
        """End the embedder's process."""
        self._worker.close()

    def _answer(self, ask: Callable[[], _Answer]) -> _Answer | Failure:
        torch.set_num_threads(self._threads)
        try:
            return ask()
        except _FAULTS as error:
            return Failure.of(error)


class WindowMaker:
    """Makes one window after the other, by an embedder that is loaded once."""

    def __init__(
        self,
        loader: Callable[[], Embedder],
        *,
        expected: EmbedderSpec,
        fasta: Path,
        tokens_per_batch: int,
        threads: int,
        timeout_s: float,
        turnstile: Any,  # noqa: ANN401 - a handle of Ray's
    ) -> None:
        self._expected = expected
        self._fasta = fasta
        self._budget = tokens_per_batch
        self._threads = threads
        self._turnstile = turnstile
        self._worker = Worker(loader, timeout_s=timeout_s)
        self._trouble = self._load()

    def __call__(self, block: Any) -> Any:  # noqa: ANN401 - Arrow has no types
        """Make the one window of a block."""
        window = read_window(block)
        if isinstance(window, Failure):
            return made_row(window)
        self._turnstile.take_up.remote(window.turn)
        if self._trouble is not None:
            return made_row(self._trouble)
        torch.set_num_threads(self._threads)
        try:
            clean = clean_window(window.number, window.records, self._worker)
            made = make_window(clean, self._worker, self._budget, fasta=self._fasta)
        except _FAULTS as error:
            return made_row(Failure.of(error), self._worker.take_events())
        self._budget = made.tokens_per_batch  # never grows again, as on one machine
        return made_row(made)

    def close(self) -> None:
        """End the embedder's process; in an actor it ends with the actor."""
        self._worker.close()

    def _load(self) -> Failure | None:
        """Load the embedder; what fails is told with the first window, for all to know."""
        torch.set_num_threads(self._threads)
        try:
            spec = self._worker.spec
        except _FAULTS as error:
            return Failure.of(error)
        return None if spec == self._expected else Failure.of(_another(spec, self._expected))


def _another(spec: EmbedderSpec, expected: EmbedderSpec) -> EmbedderBroken:
    differences = [
        f"{each.name} is {getattr(spec, each.name)!r} there and {getattr(expected, each.name)!r} "
        "on the first"
        for each in fields(EmbedderSpec)
        if getattr(spec, each.name) != getattr(expected, each.name)
    ]
    return EmbedderBroken(
        f"the worker on {platform.node()} has another embedder: {'; '.join(differences)}; give "
        "every machine the same weights, libraries and kind of device"
    )
