"""Text of residues in, one vector per sequence out.

>>> from embedders import load
>>> embedder = load("esm2-8m", weights="random", layers=1, device="cpu")
>>> embedder.embed(["MKTAYIAKQR", "MK"]).shape
torch.Size([2, 320])
"""

from embedders.attention_maps import AttentionMaps, Heads, read_attention, watch_attention
from embedders.checkpoints import CHECKPOINTS, Checkpoint, Family
from embedders.choices import Choices
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
from embedders.families import Outline
from embedders.listing import broken_plugins, checkpoint, list_embedders, runtimes_of
from embedders.loading import arithmetic_of, describe, load
from embedders.plugins import Plugin, PluginError
from embedders.runtimes import RUNTIMES, Runtime

__all__ = [
    "CHECKPOINTS",
    "DEFAULT_TOKENS_PER_BATCH",
    "RUNTIMES",
    "WINDOW_RESIDUES",
    "AttentionMaps",
    "Checkpoint",
    "Choices",
    "Cleaned",
    "Embedder",
    "EmbedderSpec",
    "Embeddings",
    "Family",
    "Heads",
    "InputError",
    "Modality",
    "Outline",
    "Plugin",
    "PluginError",
    "RejectedSequence",
    "Runtime",
    "Truncation",
    "UnknownName",
    "UnsupportedChoice",
    "WeightsError",
    "WeightsIdentity",
    "arithmetic_of",
    "broken_plugins",
    "checkpoint",
    "describe",
    "list_embedders",
    "load",
    "read_attention",
    "runtimes_of",
    "watch_attention",
]
