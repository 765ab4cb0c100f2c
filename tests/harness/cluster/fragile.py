"""An embedder that takes its process, or the actor around it, along; Ray's workers import this."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
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

SPEC = EmbedderSpec(
    name="fragile",
    runtime="toy",
    modality=Modality.PROTEIN,
    width=2,
    parameters=1,
    dtype="float32",
    device="cpu",
    weights=WeightsIdentity("random", "0" * 64, seed=0),
    cleaning_policy=PROTEIN_POLICY,
)
POISON, SELFISH, NEMESIS = "PPPP", "KKKK", "NNNN"
"""Fails; kills its process; kills the actor around its process, once or each time."""


class Fragile:
    """Vectors hold length and sum of codes.

    ``scars`` is a folder with a file for each actor that was killed: only so many as ``kills``
    are. With none, what would kill fails instead.
    """

    spec = SPEC

    def __init__(self, scars: Path, kills: int) -> None:
        self.scars = scars
        self.kills = kills

    def clean(self, sequence: str) -> Cleaned:
        return clean_protein(sequence)

    def embed(
        self, sequences: Sequence[str], *, tokens_per_batch: int = DEFAULT_TOKENS_PER_BATCH
    ) -> torch.Tensor:
        del tokens_per_batch
        if POISON in sequences or (SELFISH in sequences and self.kills == 0):
            raise ValueError("cannot be digested")
        if SELFISH in sequences:
            os.kill(os.getpid(), signal.SIGKILL)
        if NEMESIS in sequences and len(list(self.scars.iterdir())) < self.kills:
            (self.scars / str(time.time_ns())).touch()
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(60)  # until it is noticed that the actor is gone
        rows = [[len(each), sum(map(ord, each))] for each in sequences]
        return torch.tensor(rows, dtype=torch.float32).reshape(-1, 2)


def another_each_time(folder: Path) -> Fragile:
    """Weights that are not the same on two machines."""
    from dataclasses import replace  # noqa: PLC0415

    starts = len(list(folder.iterdir()))
    (folder / str(starts)).touch()
    embedder = Fragile(folder, 0)
    embedder.spec = replace(SPEC, weights=WeightsIdentity("folder", str(starts) * 64))
    return embedder
