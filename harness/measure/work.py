"""How much arithmetic embedding takes: FLOPs of an ESM-2 encoder's matrix products.

A multiplication and the addition that follows it are two FLOPs. Only matrix products are counted;
norms, softmax, rotary turns and activations are below 1% of them at the published widths.
"""

from __future__ import annotations

from collections.abc import Sequence

from embedders import InputError
from embedders.batching import SPECIAL_TOKENS
from embedders.checkpoints import Architecture


def useful_flops(architecture: Architecture, residues: Sequence[int]) -> int:
    """Return the FLOPs that these sequences need, whoever computes them: no padding is counted.

    ``24·L·H²·T + 4·L·H·ΣLᵢ²`` with ``Lᵢ = residues + 2`` and ``T = ΣLᵢ``. Per token and layer, the
    four attention projections multiply ``H·H`` and the feed-forward block ``2·4H·H``: together
    ``12·H²`` weights, two FLOPs each. Per sequence and layer, queries by keys and weights by values
    take ``2·Lᵢ²·H`` each. (Kaplan et al., "Scaling laws for neural language models", 2020, table 1,
    with attention that looks both ways.)

    Parameters
    ----------
    residues
        Residues of each sequence that enter the model, after truncation; BOS and EOS are added.

    Raises
    ------
    InputError
        If a length is below zero.

    Examples
    --------
    >>> useful_flops(Architecture(layers=1, width=2, heads=1), [1, 2])
    872
    """
    if any(count < 0 for count in residues):
        raise InputError(f"residues of a sequence cannot be below zero: {min(residues)}")
    layers, width = architecture.layers, architecture.width
    tokens = [count + SPECIAL_TOKENS for count in residues]
    linear = 24 * layers * width**2 * sum(tokens)
    return linear + 4 * layers * width * sum(count**2 for count in tokens)


def padded_flops(architecture: Architecture, batches: Sequence[Sequence[int]]) -> int:
    """Return the FLOPs where each row of a batch costs as much as the batch's longest.

    Parameters
    ----------
    batches
        Residues of each row of each batch.

    Examples
    --------
    >>> padded_flops(Architecture(layers=1, width=2, heads=1), [[1, 2]])
    1024
    """
    return sum(
        useful_flops(architecture, [max(residues)] * len(residues))
        for residues in batches
        if residues
    )
