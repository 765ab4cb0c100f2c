"""Narrow, shallow checkpoints of each family that transformers carries, for fast tests."""

from __future__ import annotations

from dataclasses import replace

from embedders import Choices, Embedder, Truncation, checkpoint
from embedders.families import adapter_of

ROWS = {
    "esmc": replace(checkpoint("esmc-300m"), width=32, heads=2, feed_forward=48, layers=3),
    "prott5": replace(
        checkpoint("prott5-xl"), width=32, heads=4, head_width=16, feed_forward=48, layers=3
    ),
}


def load_tiny(
    family: str,
    *,
    runtime: str = "huggingface",
    weights: str = "random:7",
    dtype: str = "float32",
    attention: str | None = None,
    device: str = "cpu",
    truncation: Truncation = Truncation.TRUNCATE,
) -> Embedder:
    """Load one as ``load`` would if its row were in the table."""
    row = ROWS[family]
    choices = Choices(
        runtime=runtime,
        weights=weights,
        dtype=dtype,
        attention=attention,
        device=device,
        truncation=truncation,
    )
    return adapter_of(row).build(row, choices)
