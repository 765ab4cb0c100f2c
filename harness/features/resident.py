"""What a worker's process does: load an embedder, embed, and answer in plain values."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from embedders.contract import Embedder, EmbedderSpec
from embedders.errors import InputError, RejectedSequence, UnsupportedChoice, WeightsError
from harness.features.embedding import RECORD_FAILURES, is_out_of_memory, release_memory
from harness.features.errors import EmbedderBroken, WorkerFailed, WorkerHung, WorkerOutOfMemory

LOOK_S = 1.0
"""How often either process looks whether the other one is still there."""

_CLASSES: dict[str, Callable[[str], Exception]] = {
    "MemoryError": WorkerOutOfMemory,
    "RejectedSequence": RejectedSequence,
    "UnsupportedChoice": UnsupportedChoice,
    "WeightsError": WeightsError,
    "EmbedderBroken": EmbedderBroken,
    "WorkerHung": WorkerHung,
    "InputError": InputError,
}
"""What an error is raised as in the other process, by its name; any other as ``WorkerFailed``."""

_RESIDENT: dict[str, Embedder] = {}
"""The one embedder of this process, once it is loaded."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """An embedder is there, in the process ``pid``."""

    spec: EmbedderSpec
    pid: int


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception as values, since not every class of exception survives pickling.

    ``fatal``: every later call would fail too, until the process is another one.
    """

    name: str
    message: str
    fatal: bool = False

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Keep what the other process needs to know."""
        if is_out_of_memory(error):
            return cls("MemoryError", str(error))
        known = [each.__name__ for each in type(error).__mro__ if each.__name__ in _CLASSES]
        if known:
            return cls(known[0], str(error))
        # a CUDA context does not recover from an error of its own
        message = f"{type(error).__name__}: {error}"
        return cls("", message, fatal="CUDA error" in message)

    def error(self) -> Exception:
        """Return the exception to raise in the other process, with its message intact."""
        return _CLASSES.get(self.name, WorkerFailed)(self.message)


def end_with_parent(parent: int) -> None:
    """Watch for the parent's end, of which a process at a batch would learn from nothing else."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def load_here(loader: Callable[[], Embedder], threads: int) -> Loaded | Failure:
    """Call a loader and keep its embedder."""
    torch.set_num_threads(threads)
    try:
        _RESIDENT["embedder"] = loader()
    except (*RECORD_FAILURES, OSError, ImportError, SystemExit) as error:
        return Failure.of(error)
    return Loaded(_RESIDENT["embedder"].spec, os.getpid())


def embed_here(
    sequences: list[str], tokens_per_batch: int, threads: int
) -> npt.NDArray[np.float32] | Failure:
    """Embed one batch by the embedder of this process.

    Returns
    -------
    numpy.ndarray | Failure
        float32 ``(n, d)``; or what a record or this process may have brought about. Other
        exceptions are faults of the code and are left to the pool to carry.
    """
    if not _RESIDENT:
        return Failure("", "this process is not the one that was loaded", fatal=True)
    torch.set_num_threads(threads)
    try:
        vectors = _RESIDENT["embedder"].embed(sequences, tokens_per_batch=tokens_per_batch)
    except (*RECORD_FAILURES, OSError, SystemExit) as error:
        failure = Failure.of(error)
    else:
        return vectors.numpy()
    # here the exception is gone, and with it the frames that held the batch's tensors
    if failure.name == "MemoryError":
        release_memory()
    return failure
