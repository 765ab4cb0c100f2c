"""Embedders that are wrong on purpose, each in one way, to see that the audits find it.

Each wraps a sound embedder and satisfies :class:`embedders.contract.Embedder` but for its fault.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from embedders import DEFAULT_TOKENS_PER_BATCH, Cleaned, Embedder, EmbedderSpec, Truncation
from embedders.batching import SPECIAL_TOKENS, plan_batches
from embedders.runtimes import Encoder
from harness.measure.parity.states import encoder_of, trace
from harness.measure.parity.truncation import cut


@dataclass(frozen=True, slots=True)
class Faulty:
    """A sound embedder within; by itself it adds no fault."""

    inner: Embedder

    @property
    def spec(self) -> EmbedderSpec:
        """That of the sound embedder: the fault does not announce itself."""
        return self.inner.spec

    @property
    def encoder(self) -> Encoder:
        """The sound encoder; faults are around it."""
        return encoder_of(self.inner)

    def clean(self, sequence: str) -> Cleaned:
        """Apply the cleaning policy of the sound embedder."""
        return self.inner.clean(sequence)

    def embed(
        self, sequences: Sequence[str], *, tokens_per_batch: int = DEFAULT_TOKENS_PER_BATCH
    ) -> torch.Tensor:
        """Embed as the sound embedder does."""
        return self.inner.embed(sequences, tokens_per_batch=tokens_per_batch)


@dataclass(frozen=True, slots=True)
class NaivePooling(Faulty):
    """Averages over BOS, EOS and padding too, as ``last_hidden_state.mean(dim=1)`` does.

    Padding counts as zeros, so ``padding=False`` leaves BOS and EOS as the only fault.
    """

    padding: bool = True

    def embed(
        self, sequences: Sequence[str], *, tokens_per_batch: int = DEFAULT_TOKENS_PER_BATCH
    ) -> torch.Tensor:
        """Embed with the wrong mean."""
        window = self.spec.window_residues
        texts = [cut(self.clean(each).residues, self) for each in sequences]
        matrix = torch.empty((len(texts), self.spec.width))
        for rows in plan_batches([len(each) for each in texts], tokens_per_batch):
            longest = max(len(texts[row]) for row in rows) + SPECIAL_TOKENS
            for row in rows:
                heard = trace(self.encoder, texts[row], window_residues=window)
                counted = longest if self.padding else heard.tokens
                matrix[row] = (heard.all_tokens * heard.tokens / counted).float()
        return matrix


@dataclass(frozen=True, slots=True)
class ShuffledRows(Faulty):
    """Gives each vector to the next id, as sorting by length without sorting back does."""

    def embed(
        self, sequences: Sequence[str], *, tokens_per_batch: int = DEFAULT_TOKENS_PER_BATCH
    ) -> torch.Tensor:
        """Embed with rows in another order."""
        return Faulty.embed(self, sequences, tokens_per_batch=tokens_per_batch).roll(1, dims=0)


@dataclass(frozen=True, slots=True)
class OffByTwoTruncation(Faulty):
    """Takes BOS and EOS for part of the window, which then holds two residues too few."""

    def embed(
        self, sequences: Sequence[str], *, tokens_per_batch: int = DEFAULT_TOKENS_PER_BATCH
    ) -> torch.Tensor:
        """Embed with the wrong window."""
        window = self.spec.window_residues - SPECIAL_TOKENS
        texts = [self.clean(each).residues for each in sequences]
        if self.spec.truncation is Truncation.TRUNCATE:
            texts = [each[:window] for each in texts]
        matrix = Faulty.embed(self, texts, tokens_per_batch=tokens_per_batch)
        for row, text in enumerate(texts):
            if len(text) > window:
                matrix[row] = trace(self.encoder, text, window_residues=window).vector
        return matrix


@dataclass(frozen=True, slots=True)
class BatchDependent(Faulty):
    """Mixes a share of the other rows into each, as a statistic over the batch does."""

    share: float = 0.5

    def embed(
        self, sequences: Sequence[str], *, tokens_per_batch: int = DEFAULT_TOKENS_PER_BATCH
    ) -> torch.Tensor:
        """Embed with something of the batch-mates in each vector."""
        matrix = Faulty.embed(self, sequences, tokens_per_batch=tokens_per_batch)
        return matrix + self.share * matrix.mean(dim=0)


@dataclass(frozen=True, slots=True)
class Unsteady(Faulty):
    """Adds noise that is new at every call, as dropout left on does.

    ``scale`` is relative to the mean size of a component.
    """

    scale: float = 1e-6
    seed: int = 0
    _generator: torch.Generator = field(default_factory=torch.Generator, compare=False)

    def __post_init__(self) -> None:
        self._generator.manual_seed(self.seed)

    def embed(
        self, sequences: Sequence[str], *, tokens_per_batch: int = DEFAULT_TOKENS_PER_BATCH
    ) -> torch.Tensor:
        """Embed with noise."""
        matrix = Faulty.embed(self, sequences, tokens_per_batch=tokens_per_batch)
        noise = torch.randn(matrix.shape, generator=self._generator)
        return matrix + noise * self.scale * matrix.abs().mean()


@dataclass(frozen=True, slots=True)
class WithNaN(Faulty):
    """Spoils one value of the last row, as an overflow of float16 does."""

    def embed(
        self, sequences: Sequence[str], *, tokens_per_batch: int = DEFAULT_TOKENS_PER_BATCH
    ) -> torch.Tensor:
        """Embed with a NaN."""
        matrix = Faulty.embed(self, sequences, tokens_per_batch=tokens_per_batch).clone()
        matrix[-1:, 0] = float("nan")
        return matrix
