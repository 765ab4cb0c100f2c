"""Two tensors of vectors, row by row: are they the same up to what the dtype can hold?"""

from __future__ import annotations

import torch

from embedders import Family, checkpoint, runtimes_of
from harness.results import ParityCheck

FLOAT32_LIMIT = 1e-5
COSINE_LIMIT = 0.999
WORST = 1e6
"""Stands for a difference that is no number: beyond every limit, but a number for strict JSON."""


def other_runtime(runtime: str) -> str:
    """Return the library that an arm is checked against: never the one that computed it.

    Examples
    --------
    >>> other_runtime("fair-esm"), other_runtime("packed")
    ('huggingface', 'fair-esm')
    """
    return "huggingface" if runtime == "fair-esm" else "fair-esm"


def reference_runtime(name: str, runtime: str) -> str | None:
    """Return the runtime that an embedder is checked against; None where its row has no other.

    Examples
    --------
    >>> reference_runtime("esm2-8m", "fair-esm"), reference_runtime("prott5-xl", "huggingface")
    ('huggingface', 'reference')
    >>> reference_runtime("kmer4", "numpy") is None
    True
    """
    row = checkpoint(name)
    if row.family is Family.ESM2:
        return other_runtime(runtime)
    return next((other for other in runtimes_of(row) if other != runtime), None)


def agreement(
    ours: torch.Tensor, reference: torch.Tensor, *, arm: str, check: str, sentence: str, dtype: str
) -> ParityCheck:
    """Compare two float32 ``(n, width)`` tensors row by row.

    float32 arithmetic is held to the largest difference relative to the largest component of the
    reference (``FLOAT32_LIMIT``); bfloat16 and float16 to the smallest ``2 a·b / (|a|² + |b|²)``
    over rows (``COSINE_LIMIT``): the cosine, lowered where the lengths differ, as a division by the
    wrong number of tokens makes them. A NaN anywhere gives the worst value there is, never a pass.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if ours.shape != reference.shape:
        raise ValueError(f"shapes differ: {tuple(ours.shape)} and {tuple(reference.shape)}")
    exact = dtype == "float32"
    if not (torch.isfinite(ours).all() and torch.isfinite(reference).all()):
        value = WORST if exact else -1.0
    elif exact:
        value = float((ours - reference).abs().max() / reference.abs().max().clamp_min(1e-30))
    else:
        value = float(_likeness(ours.double(), reference.double()).min())
    measure = "largest relative difference" if exact else "smallest cosine, lengths counted"
    return ParityCheck(
        arm=arm,
        check=check,
        sentence=f"{sentence}: {measure}",
        value=value,
        limit=FLOAT32_LIMIT if exact else COSINE_LIMIT,
        at_least=not exact,
    )


def _likeness(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    squares = (left * left + right * right).sum(dim=1).clamp_min(1e-30)
    return 2 * (left * right).sum(dim=1) / squares
