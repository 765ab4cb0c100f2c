"""The vectors of one window of records, whatever a batch or a record does to the embedder."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import torch

from embedders.batching import batch_cost, plan_batches
from embedders.contract import Embedder, EmbedderSpec, Modality, Truncation
from embedders.errors import InputError, RejectedSequence
from harness.features.errors import EmbedderBroken, WorkerFailed, WorkerHung

RECORD_FAILURES = (
    RuntimeError,  # torch's own class for nearly everything, running out of memory included
    MemoryError,
    ValueError,  # RejectedSequence and tokenizers
    LookupError,  # a token or a position outside a table: KeyError, IndexError
    ArithmeticError,
    AssertionError,  # how model code checks the shapes it is given
)
"""What a single record can bring about. Others (TypeError, AttributeError, ImportError …) are
faults of the code, which no smaller batch mends; they end the run as they are."""

_MEMORY_WORDS = (
    "out of memory",  # CUDA, outside torch's own class too: "CUDA error: out of memory"
    "allocate memory",  # torch's CPU allocator (can't), mmap (cannot)
    "not enough memory",  # torch's CPU allocator on other systems
    "bad_alloc",
    "status_alloc_failed",  # cuBLAS and cuDNN, for their workspaces
)
_CONTROL = {
    Modality.PROTEIN: "MKTAYIAKQRQISFVKSHFSRQ",
    Modality.NUCLEOTIDE: "ACGTTGCAAGCTTACGGATC",
}
"""Short valid sequences: an embedder that fails on its own is broken."""
_LONGEST_REASON = 200


@dataclass(frozen=True, slots=True)
class Embedded:
    """The vectors of one window, and what was left out of it.

    Attributes
    ----------
    matrix
        float32 ``(m, d)``, all finite; rows in input order, those of refused sequences left out.
    rows
        Index into the input of each row of ``matrix``, ``(m,)``.
    refused
        Input index → reason, for ``rejects.csv``.
    tokens_per_batch
        The budget in force at the end: smaller than asked for after running out of memory.
    events
        One sentence for each thing that went wrong and was handled.
    """

    matrix: torch.Tensor
    rows: tuple[int, ...]
    refused: dict[int, str]
    tokens_per_batch: int
    events: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.matrix.shape[0] != len(self.rows) or not self.refused.keys().isdisjoint(self.rows):
            raise InputError(
                f"{len(self.rows)} rows and {len(self.refused)} refused sequences do not fit "
                f"a matrix of shape {tuple(self.matrix.shape)}"
            )


def embed_rows(
    residues: Sequence[str],
    embedder: Embedder,
    tokens_per_batch: int,
    *,
    done: Callable[[int], object] = lambda _: None,
) -> Embedded:
    """Embed cleaned sequences in batches of like length; what fails is narrowed down.

    Without a failure the batches are those of :func:`embedders.batching.plan_batches`. A batch
    that runs out of memory lowers the budget to half of its cost, and what is left is planned
    anew. A batch that fails otherwise is embedded in halves until the records at fault are alone.
    Before a record is refused, the embedder has to embed a short control sequence, and then gets
    a second try at the record.

    Parameters
    ----------
    residues
        Clean sequences.
    embedder
        In this process or behind a :class:`harness.features.worker.Worker`.
    tokens_per_batch
        Budget of one forward pass, BOS, EOS and padding (where the runtime pads) included, at
        least 1. Pass on the smaller one of the result: it never grows again.
    done
        Told after each batch how many sequences are settled by it.

    Raises
    ------
    EmbedderBroken
        If the control sequence fails too.
    WorkerHung
        As it comes from a worker.
    TypeError
        If the embedder returns another shape or dtype than its contract promises.
    InputError
        If the budget is below 1.
    """
    run = _Run(residues, embedder, tokens_per_batch)
    waiting = deque(run.plan(range(len(residues))))
    while waiting:
        batch = waiting.popleft()
        failure = run.attempt(batch)
        if failure is None:
            done(len(batch))
        elif len(batch) == 1:
            run.refuse(batch[0], failure)
            done(1)
        elif failure.memory:
            run.lower_budget(batch)
            waiting = deque(run.plan(sorted([*batch, *(row for each in waiting for row in each)])))
        else:
            run.suspect(batch, failure)
            middle = len(batch) // 2
            waiting.extendleft((batch[middle:], batch[:middle]))
    return run.result()


def entering(spec: EmbedderSpec, residues: int) -> int:
    """Residues of a sequence that enter the model."""
    whole = spec.truncation is Truncation.LEGACY
    return residues if whole else min(residues, spec.window_residues)


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error means that a smaller batch might fit."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # only torch's own class of error is read: a message about a record may say anything
    message = str(error).lower()
    return isinstance(error, RuntimeError) and any(word in message for word in _MEMORY_WORDS)


def release_memory() -> None:
    """Give back what torch's CUDA allocator keeps; call it when the exception is gone.

    An exception's traceback holds the frames of the batch, and these its tensors.
    """
    gc.collect()
    torch.cuda.empty_cache()  # does nothing where CUDA was never used


@dataclass(frozen=True, slots=True)
class _Failure:
    """What is kept of an exception: words, no frames."""

    said: str
    memory: bool
    by_embedder: bool
    """The embedder itself refused, in words of its own."""

    @classmethod
    def of(cls, error: Exception) -> _Failure:
        said = str(error).strip().partition("\n")[0]
        rejected = isinstance(error, RejectedSequence)
        if rejected:
            # the contract has the message give the index, in a batch of one always this
            said = said.removeprefix("sequence 0: ")
        elif not said or not isinstance(error, WorkerFailed | InputError):
            said = f"{type(error).__name__}: {said}"
        if len(said) > _LONGEST_REASON:
            said = f"{said[:_LONGEST_REASON]}…"
        return cls(said, is_out_of_memory(error), rejected)

    @property
    def reason(self) -> str:
        """For ``rejects.csv``."""
        return self.said if self.by_embedder else f"the embedder fails on it: {self.said}"


@dataclass(slots=True)
class _Run:
    """One window on its way: the budget, the vectors so far, and what was learnt of records."""

    residues: Sequence[str]
    embedder: Embedder
    budget: int
    matrix: torch.Tensor = field(init=False)
    refused: dict[int, str] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    suspects: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        # NaN, so that a row that were never written could not pass for a vector
        self.matrix = torch.full((len(self.residues), self.embedder.spec.width), torch.nan)

    def plan(self, rows: Iterable[int]) -> list[list[int]]:
        """Group rows under the present budget."""
        rows = list(rows)
        lengths = [self._entering(row) for row in rows]
        batches = plan_batches(lengths, self.budget, pads=self.embedder.spec.pads)
        return [[rows[place] for place in batch] for batch in batches]

    def attempt(self, batch: Sequence[int]) -> _Failure | None:
        """Embed one batch into the matrix, or say how it failed."""
        failure = self._embed([self.residues[row] for row in batch], into=batch)
        if failure is not None and failure.memory:
            release_memory()
        return failure

    def lower_budget(self, batch: Sequence[int]) -> None:
        """Halve what the failed batch cost."""
        cost = batch_cost([*map(self._entering, batch)], pads=self.embedder.spec.pads)
        self.budget = min(self.budget, cost // 2)
        self.events.append(
            f"memory ran out on {self.embedder.spec.device} in a batch of {len(batch):,} sequences "
            f"({cost:,} tokens); from here on a batch has at most {self.budget:,} tokens"
        )

    def suspect(self, batch: Sequence[int], failure: _Failure) -> None:
        """Report a batch that is going to be halved, its halves not again."""
        if not self.suspects.issuperset(batch):
            self.events.append(
                f"a batch of {len(batch):,} sequences failed and was embedded in halves "
                f"({failure.said})"
            )
        self.suspects.update(batch)

    def refuse(self, row: int, failure: _Failure) -> None:
        """Leave a record out, if the embedder works and the record fails again."""
        self._prove_embedder(row, failure)
        again = self.attempt([row])
        length = len(self.residues[row])
        if again is None:
            self.events.append(
                f"a sequence of {length:,} residues was embedded at the second try only "
                f"({failure.said})"
            )
            return
        self.refused[row] = self._too_large(length) if again.memory else again.reason
        self.events.append(f"a sequence of {length:,} residues was left out ({self.refused[row]})")

    def result(self) -> Embedded:
        """Keep the finite rows of what was not refused."""
        finite = torch.isfinite(self.matrix).all(dim=1).tolist()
        for row, good in enumerate(finite):
            if not good and row not in self.refused:
                self.refused[row] = _not_finite(self.embedder.spec)
        rows = tuple(row for row in range(len(self.residues)) if row not in self.refused)
        return Embedded(
            # a copy only where a row is missing
            matrix=self.matrix[list(rows)] if self.refused else self.matrix,
            rows=rows,
            refused=dict(sorted(self.refused.items())),
            tokens_per_batch=self.budget,
            events=tuple(self.events),
        )

    def _entering(self, row: int) -> int:
        return entering(self.embedder.spec, len(self.residues[row]))

    def _embed(self, sequences: list[str], into: Sequence[int] | None = None) -> _Failure | None:
        try:
            vectors = self.embedder.embed(sequences, tokens_per_batch=self.budget)
        except (WorkerHung, EmbedderBroken):
            raise
        except RECORD_FAILURES as error:
            return _Failure.of(error)
        expected = (len(sequences), self.embedder.spec.width)
        if tuple(vectors.shape) != expected or vectors.dtype != torch.float32:
            raise TypeError(
                f"{self.embedder.spec.name} returned {vectors.dtype} {tuple(vectors.shape)} "
                f"where float32 {expected} is promised"
            )
        if into is not None:
            self.matrix[into] = vectors
        return None

    def _prove_embedder(self, row: int, failure: _Failure) -> None:
        control = _CONTROL[self.embedder.spec.modality]
        failed = self._embed([control])
        if failed is None:
            return
        said = failed.said if failed == failure else f"{failure.said}; {failed.said}"
        raise EmbedderBroken(
            f"{self.embedder.spec.name} on {self.embedder.spec.device} fails on a control sequence "
            f"of {len(control)} residues too, so no record is to blame: {said}; run `harness "
            "doctor`",
            rows=(row,),
        )

    def _too_large(self, length: int) -> str:
        spec = self.embedder.spec
        legacy = spec.truncation is Truncation.LEGACY
        remedy = "--truncation truncate or " if legacy and length > spec.window_residues else ""
        return (
            f"memory runs out on {spec.device} for its {length:,} residues alone; "
            f"use {remedy}a device with more memory"
        )


def _not_finite(spec: EmbedderSpec) -> str:
    remedy = "; float16 overflows: use bfloat16" if spec.dtype == "float16" else ""
    return f"its embedding holds NaN or infinity{remedy}"
