"""The embedder of proteins: cleaning, window, batches and order around an encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from embedders.batching import plan_batches
from embedders.contract import DEFAULT_TOKENS_PER_BATCH, Cleaned, EmbedderSpec, Truncation
from embedders.errors import RejectedSequence
from embedders.runtimes.encoder import Encoder


def clean_all(clean: Callable[[str], Cleaned], sequences: Sequence[str]) -> list[str]:
    """Clean each sequence.

    Raises
    ------
    RejectedSequence
        If one is refused; the message gives its index.
    """
    cleaned = []
    for index, sequence in enumerate(sequences):
        try:
            cleaned.append(clean(sequence).residues)
        except RejectedSequence as error:
            raise RejectedSequence(f"sequence {index}: {error.reason}") from None
    return cleaned


@dataclass(frozen=True, slots=True)
class EncoderEmbedder:
    """An encoder that satisfies :class:`embedders.contract.Embedder`."""

    spec: EmbedderSpec
    encoder: Encoder
    cleaner: Callable[[str], Cleaned]

    def clean(self, sequence: str) -> Cleaned:
        """Apply the cleaning policy that the spec names."""
        return self.cleaner(sequence)

    def embed(
        self, sequences: Sequence[str], *, tokens_per_batch: int = DEFAULT_TOKENS_PER_BATCH
    ) -> torch.Tensor:
        """Embed each sequence by itself; see :class:`embedders.contract.Embedder`."""
        window = self.spec.window_residues
        entering = clean_all(self.cleaner, sequences)
        if self.spec.truncation is Truncation.TRUNCATE:
            entering = [residues[:window] for residues in entering]
        batches = plan_batches(
            [len(residues) for residues in entering], tokens_per_batch, pads=self.spec.pads
        )
        if not batches:
            return torch.empty((0, self.spec.width))
        with torch.inference_mode():
            # collected where they are computed and moved once, so that a GPU need not wait per
            # batch; put into input order here, where indices are free
            pooled = torch.cat(
                [self.encoder.pooled([entering[row] for row in rows], window) for rows in batches]
            ).cpu()
        matrix = torch.empty((len(entering), self.spec.width))
        matrix[[row for rows in batches for row in rows]] = pooled
        return matrix
