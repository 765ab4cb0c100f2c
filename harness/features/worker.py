"""An embedder in a process of its own, which may hang, crash or be killed without harm."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from types import TracebackType
from typing import Self, TypeVar

import psutil
import torch
from pebble import ProcessExpired, ProcessPool

from embedders.alphabet import cleaning_policy
from embedders.contract import DEFAULT_TOKENS_PER_BATCH, Cleaned, Embedder, EmbedderSpec
from embedders.errors import InputError
from harness.features.errors import EmbedderBroken, WorkerFailed, WorkerHung, WorkerOutOfMemory
from harness.features.resident import (
    LOOK_S,
    Failure,
    Loaded,
    embed_here,
    end_with_parent,
    load_here,
)

DEFAULT_TIMEOUT_S = 3600.0
"""Seconds for one batch. An hour, because a single sequence of 35,000 residues that enters a
3-billion-parameter model whole takes a CPU that long without anything being wrong."""

DEFAULT_LOAD_TIMEOUT_S = 4 * 3600.0
"""Seconds for loading the weights: the largest may first come over a slow network."""

_Answer = TypeVar("_Answer")


class Worker:
    """An embedder in a process of its own; satisfies :class:`embedders.contract.Embedder`.

    Use it as a context manager: entering starts the process and loads the weights, leaving ends
    it. A process that hung or died is started again by the next call. Vectors are, bit for bit,
    those of the same embedder in this process.

    Parameters
    ----------
    loader
        Picklable; called in the process, e.g. ``functools.partial(embedders.load, "kmer4")``.
    timeout_s
        Seconds for one batch.
    retries
        How often a batch that hung is tried again.
    load_timeout_s
        Seconds for loading the weights.

    Raises
    ------
    InputError
        If a number makes no sense.
    """

    def __init__(
        self,
        loader: Callable[[], Embedder],
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        retries: int = 2,
        load_timeout_s: float = DEFAULT_LOAD_TIMEOUT_S,
    ) -> None:
        if not (timeout_s > 0 and load_timeout_s > 0 and retries >= 0):
            raise InputError(
                "a worker needs time-outs above 0 s and retries of at least 0, not "
                f"timeout_s={timeout_s}, load_timeout_s={load_timeout_s} and retries={retries}"
            )
        self._loader = loader
        self._timeout_s = timeout_s
        self._load_timeout_s = load_timeout_s
        self._retries = retries
        self._pool: ProcessPool | None = None
        self._pid: int | None = None  # of the process in which the embedder is loaded
        self._loaded: Loaded | None = None
        self._events: list[str] = []

    def __enter__(self) -> Self:
        """Start the process and load the embedder.

        Raises
        ------
        InputError
            As the loader raises it.
        EmbedderBroken
            If loading fails otherwise, or takes the process along.
        WorkerHung
            If loading does not end.
        """
        self._start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process, at three seconds' notice if it is at a batch."""
        if self._pool is not None:
            pool, self._pool, self._pid = self._pool, None, None
            pool.stop()  # type: ignore[no-untyped-call]
            pool.join()

    @property
    def spec(self) -> EmbedderSpec:
        """What the embedder in the process is."""
        return (self._loaded or self._start()).spec

    def take_events(self) -> tuple[str, ...]:
        """Return one sentence for each restart since the last call."""
        events, self._events = tuple(self._events), []
        return events

    def clean(self, sequence: str) -> Cleaned:
        """Apply, in this process, the cleaning policy that the spec names.

        Raises
        ------
        UnknownName
            If the name is in no table.
        """
        return cleaning_policy(self.spec.cleaning_policy)(sequence)

    def embed(
        self, sequences: Sequence[str], *, tokens_per_batch: int = DEFAULT_TOKENS_PER_BATCH
    ) -> torch.Tensor:
        """Embed in the process; see :class:`embedders.contract.Embedder`.

        Raises
        ------
        WorkerHung
            If the batch takes longer than its time, at each try.
        WorkerOutOfMemory
            If the process has too little memory, or is killed as the kernel does then.
        WorkerFailed
            If the embedder fails otherwise, or takes its process along.
        EmbedderBroken
            If the process cannot be started again.
        """
        batch = _count(sequences)
        for retry in range(self._retries + 1):
            if retry:
                self._events.append(
                    f"{batch} hung for {self._timeout_s:g} s; the worker was started again "
                    f"(retry {retry} of {self._retries})"
                )
            self._start()
            arguments = (list(sequences), tokens_per_batch, torch.get_num_threads())
            try:
                answer = self._ask(embed_here, arguments, self._timeout_s)
            except TimeoutError:
                continue
            except _Died as death:
                raise self._told(death, batch) from None
            if isinstance(answer, Failure):
                if answer.fatal:
                    self.close()
                    self._events.append(
                        f"{batch} left the worker unusable and it is started again "
                        f"({answer.message.partition(chr(10))[0]})"
                    )
                raise answer.error()
            return torch.from_numpy(answer)
        raise WorkerHung(
            f"{batch} did not come back within {self._timeout_s:g} s, tried "
            f"{self._retries + 1} times; give a batch more time (--batch-timeout) or less to do "
            "(--tokens-per-batch)"
        )

    def _start(self) -> Loaded:
        """Have a process in which the embedder is loaded."""
        if self._pool is not None and not self._pool.active:
            self.close()
            self._events.append("the worker ended between two batches and was started again")
        if self._pid is not None and self._loaded is not None:
            return self._loaded
        with ExitStack() as stack:
            stack.callback(self.close)  # whatever goes wrong in here
            self._loaded = self._load()
            self._pid = self._loaded.pid
            stack.pop_all()
        return self._loaded

    def _load(self) -> Loaded:
        arguments = (self._loader, torch.get_num_threads())
        try:
            answer = self._ask(load_here, arguments, self._load_timeout_s)
        except TimeoutError:
            raise WorkerHung(
                f"loading the embedder did not end within {self._load_timeout_s:g} s; see whether "
                "the disk, the network and the device answer"
            ) from None
        except _Died as death:
            raise EmbedderBroken(
                f"the worker {death} while it loaded the embedder; standard error has its last "
                "words"
            ) from None
        if isinstance(answer, Failure):
            error = answer.error()
            if isinstance(error, InputError) and self._loaded is None:
                raise error
            raise EmbedderBroken(f"the embedder cannot be loaded: {answer.message}")
        if self._loaded is not None and self._loaded.spec != answer.spec:
            raise EmbedderBroken(
                f"the worker came back with another embedder, {answer.spec} where "
                f"{self._loaded.spec} was; leave the weights alone during a run"
            )
        return answer

    def _ask(
        self, task: Callable[..., _Answer], arguments: tuple[object, ...], limit_s: float
    ) -> _Answer:
        """Have a task done in the process; a process that hangs or dies is ended for good.

        Raises
        ------
        TimeoutError
            After ``limit_s``. The time is kept here, since the pool's own clock would start only
            when the process has taken the task, and so never for one that hangs as it starts.
        _Died
            If the process ends. Its pool ends with it: pipe and locks may be left half-used.
        """
        if self._pool is None:
            self._pool = ProcessPool(
                max_workers=1,
                initializer=end_with_parent,
                initargs=(os.getpid(),),
                context=multiprocessing.get_context("spawn"),
            )
        try:
            return self._wait(self._pool.schedule(task, args=arguments), limit_s)
        except (ProcessExpired, BrokenProcessPool) as death:
            self.close()
            raise _Died(getattr(death, "exitcode", None)) from None
        except (TimeoutError, _Died):
            self.close()
            raise

    def _wait(self, future: Future[_Answer], limit_s: float) -> _Answer:
        deadline = time.monotonic() + limit_s
        gone = False
        while True:
            left = deadline - time.monotonic()
            wait([future], timeout=max(0.0, min(left, LOOK_S)))
            if future.done():
                return future.result()
            if left <= 0:
                raise TimeoutError
            # the pool takes an exit with code 0 for a wish and goes on waiting
            if gone:
                raise _Died(0)
            gone = self._pid is not None and not psutil.pid_exists(self._pid)

    def _told(self, death: _Died, batch: str) -> Exception:
        """Turn the end of the process into what the batch's failure means."""
        said = f"the worker {death} at {batch}"
        self._events.append(f"{said}; it is started again")
        return WorkerOutOfMemory(said) if death.code == -signal.SIGKILL else WorkerFailed(said)


class _Died(Exception):
    """The end of a process: its exit code, a negative signal number, or None if nobody knows."""

    def __init__(self, code: int | None) -> None:
        if code is None:
            manner = "ended"
        elif code >= 0:
            manner = f"ended with code {code}"
        else:
            manner = f"was ended by signal {-code} ({signal.strsignal(-code)})"
        super().__init__(manner)
        self.code = code


def _count(sequences: Sequence[str]) -> str:
    lengths = [len(each) for each in sequences]
    plural = "" if len(lengths) == 1 else "s"
    return (
        f"a batch of {len(lengths):,} sequence{plural} ({sum(lengths):,} residues, the longest "
        f"{max(lengths, default=0):,})"
    )
