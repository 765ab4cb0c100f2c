"""The token budget that serves an embedder best on its device, found by trying.

Larger batches keep a device busier until its units are full or its caches are not enough; from
then on they only cost memory. Where that is differs from device to device and from model to model.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from embedders.batching import SPECIAL_TOKENS, batch_cost, plan_batches
from embedders.contract import DEFAULT_TOKENS_PER_BATCH, Embedder, EmbedderSpec
from harness.features.admission import Cleaner, admit
from harness.features.embedding import (
    RECORD_FAILURES,
    entering,
    is_out_of_memory,
    release_memory,
)
from harness.features.errors import BudgetError, EmbedderBroken, WorkerHung
from harness.features.fasta import Record
from harness.features.rejects import Reject
from harness.features.remembered import Remembered, Setting, Tried, recall, remember

SMALLEST = 1024
LARGEST = 2**17
GAIN = 1.03
"""A budget must give so many times the rate of the one before, or the search ends."""
SHARE = 0.1
"""The part of the input's tokens that a search may embed; they are embedded again by the run."""
SAMPLE = 512
"""Sequences of the input that a search embeds, again and again."""
TIMED_TOKENS = 8192
TIMED_BATCHES = 2
"""Each budget is timed on about so many tokens, but at least on so many batches."""


@dataclass(frozen=True, slots=True)
class Found:
    """A budget and why it was taken.

    ``tried`` is in ascending order. ``why`` ends the sentence that tells of it; ``troubles`` are
    sentences on a remembered budget that could not be read or written.
    """

    tokens_per_batch: int
    tried: tuple[Tried, ...]
    why: str
    troubles: tuple[str, ...] = ()

    def sentences(self) -> tuple[str, ...]:
        """Tell the user what was taken and why."""
        rates = ", ".join(
            f"{each.tokens_per_batch:,} gave {each.tokens_per_s:,.0f} tokens/s"
            for each in self.tried
        )
        taken = f"{self.tokens_per_batch:,} tokens per batch: {self.why}"
        return (*self.troubles, f"{taken} ({rates})" if rates else taken)

    def details(self) -> dict[str, object]:
        """Return the same for the journal."""
        rates = {str(each.tokens_per_batch): round(each.tokens_per_s, 1) for each in self.tried}
        details: dict[str, object] = {"taken": self.tokens_per_batch, "why": self.why}
        details |= {"tokens_per_s": rates} if rates else {}
        return details | ({"troubles": list(self.troubles)} if self.troubles else {})


def find_budget(records: Iterable[Record], count: int, embedder: Embedder) -> Found:
    """Return the budget that an earlier search has found here, or search for one.

    The search doubles the budget from ``SMALLEST`` as long as the rate grows by ``GAIN`` and the
    memory is enough, and takes the last one that did both. When memory runs out that is at most
    half of what failed, and each budget has to hold copies of the longest sequence alone, so
    there is room to spare. A sequence beyond the default budget is left to the run: it has a
    batch of its own, whatever the budget.

    At most ``SHARE`` of the input's tokens are embedded for it. An input too small to try one
    more budget than the default gets the default, without a search; a search that the input cuts
    short is not remembered.

    Parameters
    ----------
    records
        The whole input; read only if nothing is remembered.
    count
        How many records there are.
    embedder
        In this process or behind a :class:`harness.features.worker.Worker`, whose time for
        handing over then counts as well.

    Raises
    ------
    EmbedderBroken
        If a worker cannot be started again.
    FastaError
        As reading raises it.
    """
    known = recall_budget(embedder.spec)
    if isinstance(known, Found):
        return known
    return search_budget(draw_sample(records, count, embedder), embedder, troubles=known)


def recall_budget(spec: EmbedderSpec) -> Found | tuple[str, ...]:
    """Return what an earlier search has found here; where there is nothing, the troubles with it.

    ``Here`` is the machine that this is called on.
    """
    setting = Setting.of(spec)
    try:
        known = recall(setting)
    except BudgetError as damage:
        return (str(damage),)
    if known is None:
        return ()
    why = f"found by an earlier run and remembered in {setting.path}"
    return Found(known.tokens_per_batch, known.tried, why)


def search_budget(sample: Sample, embedder: Embedder, *, troubles: Sequence[str] = ()) -> Found:
    """Search as :func:`find_budget` does, and remember what is found on this machine.

    ``troubles`` are those that were met before.
    """
    setting = Setting.of(embedder.spec)
    troubles = list(troubles)
    search = _Search(embedder, sample)
    best, why = search.run()
    if search.to_its_end:
        try:
            remember(Remembered(setting, best, tuple(search.tried)))
        except OSError as error:
            troubles.append(f"{setting.path}: cannot be written ({error.strerror or error})")
    return Found(best, tuple(search.tried), why, tuple(troubles))


@dataclass(frozen=True, slots=True)
class Sample:
    """Sequences drawn from an input in even steps, as they enter the model, longest first.

    ``tokens`` are those of the whole input.
    """

    residues: tuple[str, ...]
    tokens: int


def draw_sample(records: Iterable[Record], count: int, embedder: Cleaner) -> Sample:
    """Draw at most some ``SAMPLE`` clean sequences from ``count`` records, and the longest."""
    step = -(-count // SAMPLE)
    drawn: list[str] = []
    longest, tokens = "", 0
    for index, record in enumerate(records):
        length = entering(embedder.spec, len(record.sequence))
        tokens += length + SPECIAL_TOKENS
        in_turn, longer = index % step == 0, length > len(longest)
        if not (in_turn or longer) or length + SPECIAL_TOKENS > DEFAULT_TOKENS_PER_BATCH:
            continue
        admitted = admit(record, embedder.clean)
        if isinstance(admitted, Reject):
            continue
        residues = _cut(admitted.residues, embedder.spec)
        if in_turn:
            drawn.append(residues)
        longest = max(longest, residues, key=len)
    return Sample(
        tuple(sorted([longest, *drawn] if longest else [], key=len, reverse=True)), tokens
    )


def _cut(residues: str, spec: EmbedderSpec) -> str:
    return residues[: entering(spec, len(residues))]


class _Search:
    """One search: the rates so far, the best budget, and what may still be spent."""

    def __init__(self, embedder: Embedder, sample: Sample) -> None:
        self.tried: list[Tried] = []
        self.to_its_end = False
        self._best = DEFAULT_TOKENS_PER_BATCH
        self._embedder = embedder
        self._residues = sample.residues
        self._lengths = [len(each) for each in sample.residues]
        self._left = int(SHARE * sample.tokens)

    def run(self) -> tuple[int, str]:
        """Return the budget to take, and why."""
        budgets = [2**power for power in range(SMALLEST.bit_length() - 1, LARGEST.bit_length())]
        needed = [each for each in budgets if each <= 2 * DEFAULT_TOKENS_PER_BATCH]
        if not self._residues or self._left < sum(map(self._cost, needed)):
            return self._best, "the default, for the input is too small to look for a better one"
        for budget in budgets:
            if self._left < self._cost(budget):
                return self._best, f"the input is too small to try {budget:,}"
            stopped = self._try(budget)
            if stopped is not None:
                return self._best, stopped if self.tried else f"the default, for {stopped}"
        self.to_its_end = True
        return self._best, "the largest that is tried"

    def _try(self, budget: int) -> str | None:
        """Time a budget; return why the search ends with it, if it does."""
        goal = GAIN * self.tried[-1].tokens_per_s if self.tried else 0.0
        try:
            rate = self._rate(budget)
            if rate < goal and self._left >= self._cost(budget):
                rate = max(rate, self._rate(budget))  # a hiccup of the machine must not end it
        except EmbedderBroken:
            raise
        except WorkerHung:
            return f"a batch of {budget:,} did not come back in time"
        except RECORD_FAILURES as error:
            self.to_its_end = bool(self.tried) and is_out_of_memory(error)
            stopped = (
                f"memory runs out on {self._embedder.spec.device} with {budget:,}"
                if is_out_of_memory(error)
                else f"a batch of {budget:,} failed ({type(error).__name__})"
            )
        else:
            self.tried.append(Tried(budget, rate))
            if rate >= goal:
                self._best = budget
                return None
            self.to_its_end = True
            return f"{budget:,} gained less than {GAIN - 1:.0%}"
        release_memory()  # here the exception is gone, and with it the frames of the batch
        return stopped

    def _rate(self, budget: int) -> float:
        """Return tokens per second, padding not counted, in batches of all the lengths."""
        fitting, *timed = self._batches(budget)
        self._left -= self._cost(budget)
        self._embed(fitting, budget)  # fills the memory, and warms up for the others
        started = time.perf_counter()
        for batch in timed:
            self._embed(batch, budget)
        elapsed_s = time.perf_counter() - started
        tokens = sum(batch_cost([self._lengths[row] for row in each], pads=False) for each in timed)
        return tokens / elapsed_s

    def _embed(self, batch: Sequence[int], budget: int) -> None:
        self._embedder.embed([self._residues[row] for row in batch], tokens_per_batch=budget)

    def _cost(self, budget: int) -> int:
        pads = self._embedder.spec.pads
        batches = self._batches(budget)
        return sum(batch_cost([self._lengths[row] for row in each], pads=pads) for each in batches)

    def _batches(self, budget: int) -> list[list[int]]:
        """Return one batch of copies of the longest sequence, and others in even steps of length.

        The sample is repeated until a plan of it has twice as many batches as are taken: as in a
        whole window, the sequences of one batch are then of like length.
        """
        fitting = [0] * max(1, budget // (self._lengths[0] + SPECIAL_TOKENS))
        wanted = max(TIMED_BATCHES, TIMED_TOKENS // budget)
        repeats = -(-2 * wanted * budget // batch_cost(self._lengths, pads=False))
        rows = [row for row in range(len(self._lengths)) for _ in range(repeats)]
        lengths = [self._lengths[row] for row in rows]
        plan = plan_batches(lengths, budget, pads=self._embedder.spec.pads)
        steps = (len(plan) * (2 * turn + 1) // (2 * wanted) for turn in range(wanted))
        return [fitting, *([rows[place] for place in plan[step]] for step in steps)]
