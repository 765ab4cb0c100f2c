"""Text of residues in, one vector per sequence out.

>>> from embedders import load
>>> embedder = load("esm2-8m", weights="random", layers=1, device="cpu")
>>> embedder.embed(["MKTAYIAKQR", "MK"]).shape
torch.Size([2, 320])
"""

from embedders.checkpoints import CHECKPOINTS, Checkpoint, checkpoint
from embedders.contract import (
    DEFAULT_TOKENS_PER_BATCH,
    WINDOW_RESIDUES,
    Cleaned,
    Embedder,
    EmbedderSpec,
    Embeddings,
    Modality,
    Truncation,
    WeightsIdentity,
)
from embedders.errors import (
    InputError,
    RejectedSequence,
    UnknownName,
    UnsupportedChoice,
    WeightsError,
)
from embedders.listing import list_embedders
from embedders.loading import Outline, describe, load
from embedders.runtimes import RUNTIMES, Runtime

__all__ = [
    "CHECKPOINTS",
    "DEFAULT_TOKENS_PER_BATCH",
    "RUNTIMES",
    "WINDOW_RESIDUES",
    "Checkpoint",
    "Cleaned",
    "Embedder",
    "EmbedderSpec",
    "Embeddings",
    "InputError",
    "Modality",
    "Outline",
    "RejectedSequence",
    "Runtime",
    "Truncation",
    "UnknownName",
    "UnsupportedChoice",
    "WeightsError",
    "WeightsIdentity",
    "checkpoint",
    "describe",
    "list_embedders",
    "load",
]
