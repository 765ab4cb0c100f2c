"""The file, read once in order by one task beside the command, one window to a block.

The text of a window travels to whoever embeds it, so that the file has to be on the command's
machine only, and a gzip file is as good as a plain one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import count, islice
from typing import Any

import ray
from ray.data import Datasource, ReadTask
from ray.data.block import BlockMetadata

from embedders.errors import InputError
from harness.cluster.rows import RawWindow, window_row
from harness.features.fasta import read_fasta
from harness.features.making import Job
from harness.features.resident import Failure

PATIENCE_S = 600.0
"""After so long without a window being taken up, one more may be sent."""


class Turnstile:
    """Lets the reader send windows only so far ahead of the one that was taken up last.

    Ray Data limits the bytes that lie between two steps, but its limits are those of the object
    store, and while workers load their weights it lets a fast reader go on to the end of a file.
    Turns are compared and not counted: one that is lost with its worker takes up no place. Should
    all that were sent be lost, ``PATIENCE_S`` keeps the run from waiting for ever.
    """

    def __init__(self, ahead: int, patience_s: float = PATIENCE_S) -> None:
        self._ahead = ahead
        self._patience_s = patience_s
        self._taken = -1
        self._moved = asyncio.Condition()

    async def wait_for(self, turn: int) -> None:
        """Return when a turn may be sent."""
        async with self._moved:
            while turn > self._taken + self._ahead:
                try:
                    await asyncio.wait_for(self._moved.wait(), self._patience_s)
                except TimeoutError:
                    self._taken += 1

    async def take_up(self, turn: int) -> None:
        """Note that a turn has come to its worker."""
        async with self._moved:
            self._taken = max(self._taken, turn)
            self._moved.notify_all()


class Windows(Datasource):  # type: ignore[misc]
    """The missing windows of a job, one block each, in order."""

    def __init__(self, job: Job, turnstile: Any) -> None:  # noqa: ANN401 - a handle of Ray's
        super().__init__()
        self._job = replace(job, fasta=job.fasta.absolute())  # the task has another folder
        self._turnstile = turnstile

    def get_name(self) -> str:
        """Return what Ray's own records call it."""
        return "Fasta"

    def estimate_inmemory_data_size(self) -> int | None:
        """Return None: nobody knows before it is read."""
        return None

    def get_read_tasks(
        self,
        parallelism: int,
        per_task_row_limit: int | None = None,
        data_context: Any = None,  # noqa: ANN401
    ) -> list[ReadTask]:
        """Return the one task that reads the file."""
        del parallelism, per_task_row_limit, data_context
        unknown = BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None)
        return [ReadTask(partial(_read, self._job, self._turnstile), unknown)]


def _read(job: Job, turnstile: Any) -> Iterator[Any]:  # noqa: ANN401
    def wait_for(turn: int) -> None:
        ray.get(turnstile.wait_for.remote(turn))

    for window in raw_windows(job, wait_for):
        yield window_row(window)


def raw_windows(job: Job, wait_for: Callable[[int], object]) -> Iterator[RawWindow | Failure]:
    """Yield the missing windows as they are read; last of all, if it comes to it, what failed.

    ``wait_for`` is called before each with its turn. The file is read to its end, where its bytes
    are compared with the survey's.
    """
    records = read_fasta(job.fasta, expected=job.survey)
    turn = 0
    try:
        for number in count():
            window = tuple(islice(records, job.shard_size))
            if not window:
                return
            if number not in job.standing:
                wait_for(turn)
                yield RawWindow(turn, number, window)
                turn += 1
    except InputError as error:
        yield Failure.of(error)
