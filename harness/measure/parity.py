"""Is what an embedder computes right? Questions with a limit and a plain sentence each."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from embedders import Embedder
from harness.results import ParityCheck

FLOAT32_LIMIT = 1e-5
COSINE_LIMIT = 0.999


def other_runtime(runtime: str) -> str:
    """Return the library that an arm is checked against: never the one that computed it."""
    return "huggingface" if runtime == "fair-esm" else "fair-esm"


def batch_invariance(
    embedder: Embedder, sequences: Sequence[str], *, arm: str, tokens_per_batch: int
) -> ParityCheck:
    """Ask whether a sequence's vector depends on its batch-mates or on the input order."""
    together = embedder.embed(sequences, tokens_per_batch=tokens_per_batch)
    backwards = embedder.embed(sequences[::-1], tokens_per_batch=tokens_per_batch).flip(0)
    alone = torch.cat([embedder.embed([sequence], tokens_per_batch=1) for sequence in sequences])
    sentence = f"{len(sequences)} sequences, each alone, together, and in reverse order"
    checks = [
        agreement(
            together,
            other,
            arm=arm,
            check="batch and order",
            sentence=sentence,
            dtype=embedder.spec.dtype,
        )
        for other in (backwards, alone)
    ]
    worst = min if checks[0].at_least else max
    return worst(checks, key=lambda check: check.value)


def agreement(
    ours: torch.Tensor, reference: torch.Tensor, *, arm: str, check: str, sentence: str, dtype: str
) -> ParityCheck:
    """Compare two float32 ``(n, width)`` tensors row by row.

    float32 arithmetic is held to the largest difference relative to the largest component of the
    reference (``FLOAT32_LIMIT``); bfloat16 and float16 to the smallest cosine over rows
    (``COSINE_LIMIT``). A NaN anywhere gives the worst value there is, never a pass.
    """
    if ours.shape != reference.shape:
        raise ValueError(f"shapes differ: {tuple(ours.shape)} and {tuple(reference.shape)}")
    exact = dtype == "float32"
    if not (torch.isfinite(ours).all() and torch.isfinite(reference).all()):
        value = 2.0 if exact else -1.0
    elif exact:
        value = float((ours - reference).abs().max() / reference.abs().max().clamp_min(1e-30))
    else:
        cosines = torch.nn.functional.cosine_similarity(ours.double(), reference.double())
        value = float(cosines.min())
    measure = "largest relative difference" if exact else "smallest cosine"
    return ParityCheck(
        arm=arm,
        check=check,
        sentence=f"{sentence}: {measure}",
        value=value,
        limit=FLOAT32_LIMIT if exact else COSINE_LIMIT,
        at_least=not exact,
    )
