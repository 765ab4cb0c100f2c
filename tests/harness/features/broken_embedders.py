"""Embedders that do to their process whatever a sequence says; a worker's process imports this."""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from embedders.alphabet import PROTEIN_POLICY, clean_protein
from embedders.contract import (
    DEFAULT_TOKENS_PER_BATCH,
    Cleaned,
    EmbedderSpec,
    Modality,
    WeightsIdentity,
)
from embedders.errors import RejectedSequence, UnknownName, WeightsError

SPEC = EmbedderSpec(
    name="broken",
    runtime="toy",
    modality=Modality.PROTEIN,
    width=3,
    parameters=1,
    dtype="float32",
    device="cpu",
    weights=WeightsIdentity("random", "0" * 64, seed=0),
    cleaning_policy=PROTEIN_POLICY,
)


class OddError(RuntimeError):
    """Cannot be unpickled: its constructor takes other arguments than its message."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second}")


def _crash() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # no dump is left behind
    os.kill(os.getpid(), signal.SIGSEGV)


def _fail(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


FAULTS: dict[str, Callable[[], object]] = {
    "HANG": lambda: time.sleep(60),
    "CRASH": _crash,
    "KILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "LEAVE": lambda: os._exit(0),
    "SYSTEMEXIT": lambda: sys.exit(3),
    "VALUE": _fail(ValueError("bad value\nand a second line")),
    "ODD": _fail(OddError("this", "that")),
    "CUDA": _fail(RuntimeError("CUDA error: device-side assert triggered\nCompile with …")),
    "MEMORY": _fail(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")),
    "REJECTED": _fail(RejectedSequence("600 tokens, but the model has 512 positions")),
    "SLOW": _fail(TimeoutError("a lock")),
    "TYPE": _fail(TypeError("no such argument")),
}


class BrokenEmbedder:
    """Vectors hold length, the process's id and its threads, unless a sequence names a fault."""

    spec = SPEC

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder

    def clean(self, sequence: str) -> Cleaned:
        return clean_protein(sequence)

    def embed(
        self, sequences: Sequence[str], *, tokens_per_batch: int = DEFAULT_TOKENS_PER_BATCH
    ) -> torch.Tensor:
        del tokens_per_batch
        for each in sequences:
            if each in FAULTS:
                FAULTS[each]()
            if each == "HANGONCE" and self.folder and not (self.folder / "hung").exists():
                (self.folder / "hung").touch()
                time.sleep(60)
        rows = [[len(each), os.getpid(), torch.get_num_threads()] for each in sequences]
        return torch.tensor(rows, dtype=torch.float32).reshape(-1, 3)


def unknown_name() -> BrokenEmbedder:
    raise UnknownName("embedder", "esm3", ["esm2-8m", "kmer4"])


def no_weights() -> BrokenEmbedder:
    raise WeightsError("model.safetensors is not there")


def no_memory() -> BrokenEmbedder:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 11 GiB")


def crash() -> BrokenEmbedder:
    _crash()
    return BrokenEmbedder()


def another_each_time(folder: Path) -> BrokenEmbedder:
    """Weights that change on the disk from one start to the next."""
    from dataclasses import replace  # noqa: PLC0415

    starts = len(list(folder.iterdir()))
    (folder / str(starts)).touch()
    embedder = BrokenEmbedder()
    embedder.spec = replace(SPEC, weights=WeightsIdentity("folder", str(starts) * 64))
    return embedder
