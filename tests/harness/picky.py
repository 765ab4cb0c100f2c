"""An embedder that one record is too much for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from embedders import Cleaned, Embedder, EmbedderSpec


@dataclass(frozen=True)
class Picky:
    """An embedder that fails on one sequence."""

    whole: Embedder
    refused: str

    @property
    def spec(self) -> EmbedderSpec:
        return self.whole.spec

    def clean(self, sequence: str) -> Cleaned:
        return self.whole.clean(sequence)

    def embed(self, sequences: Sequence[str], *, tokens_per_batch: int = 4096) -> torch.Tensor:
        if self.refused in sequences:
            raise IndexError("position out of range")
        return self.whole.embed(sequences, tokens_per_batch=tokens_per_batch)
