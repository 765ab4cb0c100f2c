"""What every embedder promises, whatever checkpoint and runtime stand behind it."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import torch

from embedders.errors import InputError


class Modality(StrEnum):
    """Which alphabet an embedder reads."""

    PROTEIN = "protein"
    NUCLEOTIDE = "nucleotide"


class Truncation(StrEnum):
    """What happens to residues beyond the window; the same on both arms of a migration.

    ``TRUNCATE``: only the first ``window`` residues enter the model.
    ``LEGACY``: the whole sequence enters, only the first ``window`` residues are pooled, as the
    original pipeline did.
    """

    TRUNCATE = "truncate"
    LEGACY = "legacy"


WINDOW_RESIDUES = 1024
WHOLE_SEQUENCE = sys.maxsize
"""Window of nucleotide embedders: the pipeline cuts contigs before it embeds them."""
DEFAULT_TOKENS_PER_BATCH = 4096


@dataclass(frozen=True, slots=True)
class WeightsIdentity:
    """Which weights are loaded: enough to tell two runs apart.

    ``source`` is ``hub``, ``folder``, ``mini``, ``random`` or ``none`` (nothing is learnt, e.g.
    k-mer frequencies); ``sha256`` covers the names, shapes and bytes of the files read, or the
    seed for random weights; ``revision`` is the hub's 40-hex commit where there is one.
    """

    source: str
    sha256: str
    revision: str | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class EmbedderSpec:
    """Everything that decides an embedder's values and cost.

    ``parameters`` counts those of the encoder that was loaded; ``dtype`` is the compute dtype
    (``float32``, ``bfloat16`` or ``float16``), results are always float32; ``versions`` names the
    libraries that compute. ``attention`` is the implementation that was taken where the runtime has
    a choice; ``pads`` tells whether the rows of a batch are padded to the longest, which is what
    :func:`embedders.batching.plan_batches` counts.
    """

    name: str
    runtime: str
    modality: Modality
    width: int
    parameters: int
    dtype: str
    device: str
    weights: WeightsIdentity
    truncation: Truncation = Truncation.TRUNCATE
    window_residues: int = WINDOW_RESIDUES
    cleaning_policy: str = ""
    versions: tuple[tuple[str, str], ...] = ()
    attention: str | None = None
    pads: bool = True

    def __post_init__(self) -> None:
        if self.width < 1:
            raise InputError(f"width of {self.name!r} must be at least 1, not {self.width}")
        if self.window_residues < 1:
            raise InputError(f"window_residues must be at least 1, not {self.window_residues}")


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A sequence after the cleaning policy, and how many characters each fix touched."""

    residues: str
    fixes: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Ids and their vectors: row ``i`` of ``matrix`` belongs to ``ids[i]``.

    ``matrix``: float32 tensor ``(n, width)`` on the CPU.
    """

    ids: tuple[str, ...]
    matrix: torch.Tensor

    def __post_init__(self) -> None:
        if self.matrix.ndim != 2 or len(self.ids) != self.matrix.shape[0]:
            raise InputError(
                f"{len(self.ids)} ids do not fit a matrix of shape {tuple(self.matrix.shape)}"
            )


class Embedder(Protocol):
    """Text of residues (or nucleotides) in, one vector per sequence out."""

    @property
    def spec(self) -> EmbedderSpec:
        """What this embedder is."""
        ...

    def clean(self, sequence: str) -> Cleaned:
        """Apply the one cleaning policy of this modality.

        Raises
        ------
        RejectedSequence
            If the policy refuses the sequence.
        """
        ...

    def embed(
        self, sequences: Sequence[str], *, tokens_per_batch: int = DEFAULT_TOKENS_PER_BATCH
    ) -> torch.Tensor:
        """Embed each sequence by itself, whatever shares its batch.

        Parameters
        ----------
        sequences
            Each is cleaned by :meth:`clean` first.
        tokens_per_batch
            Most tokens, BOS, EOS and padding (where the runtime pads) included, in one forward
            pass; a longer single sequence gets a pass of its own.

        Returns
        -------
        torch.Tensor
            float32 ``(n, width)`` on the CPU, in input order; ``(0, width)`` for no sequences.

        Raises
        ------
        RejectedSequence
            If a sequence is refused; the message gives its index.
        """
        ...
