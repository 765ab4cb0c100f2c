"""Peak memory of one embedder, in a process of its own, and what it consists of."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import TypeVar

from embedders import Embedder
from harness.costs import MemorySplit
from harness.measure.footprint import Imports, Task, measure_here, measure_or_list_imports
from harness.results import Memory

T = TypeVar("T")


def measure_memory(
    load: Callable[[], Embedder],
    sequences: Sequence[str],
    *,
    arm: str,
    tokens_per_batch: int,
) -> Memory:
    """Load one embedder in a fresh process, embed, and read the peaks.

    A process of its own, because peaks only ever rise: the second model measured in one process
    would inherit the first one's. On CUDA, both the torch allocator's peak and what NVML saw are
    reported; NVML also counts the context and library workspaces.

    Parameters
    ----------
    load
        Picklable; called in the child.
    sequences
        What to embed; the longest batch decides the peak.

    Raises
    ------
    RuntimeError
        If the child process fails; its own traceback is on stderr.
    """
    task = Task(load, tuple(sequences), arm, tokens_per_batch)
    memory, _ = _in_child(measure_here, task)
    return memory


def measure_memory_split(
    load: Callable[[], Embedder],
    sequences: Sequence[str],
    *,
    arm: str,
    tokens_per_batch: int,
) -> tuple[Memory, MemorySplit]:
    """Measure as :func:`measure_memory` does, and tell what the peak consists of.

    On a CPU two children are started. Loading also imports the libraries that compute, and what
    they take is none of the weights': so a first child loads and says what was imported, and a
    second one imports that before it loads and measures.

    Raises
    ------
    RuntimeError
        If a child process fails; its own traceback is on stderr.
    """
    task = Task(load, tuple(sequences), arm, tokens_per_batch)
    found = _in_child(measure_or_list_imports, task)
    return _in_child(measure_here, task.after(found)) if isinstance(found, Imports) else found


def _in_child(do: Callable[[Task], T], task: Task) -> T:
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_answer, args=(sender, do, task))
    child.start()
    sender.close()
    try:
        answer: T = receiver.recv()
    except EOFError as error:
        child.join()
        raise RuntimeError(
            f"memory of {task.arm}: the child process ended with {child.exitcode}"
        ) from error
    finally:
        receiver.close()
    child.join()
    return answer


def _answer(sender: Connection, do: Callable[[Task], object], task: Task) -> None:
    sender.send(do(task))
    sender.close()
