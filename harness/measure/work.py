"""How much arithmetic embedding takes: FLOPs of an encoder's matrix products.

A multiplication and the addition that follows it are two FLOPs. Only matrix products are counted;
norms, softmax, rotary turns and activations are below 1% of them at the published widths.
"""

from __future__ import annotations

from collections.abc import Sequence

from embedders import InputError
from embedders.arithmetic import Arithmetic


def useful_flops(arithmetic: Arithmetic, residues: Sequence[int]) -> int:
    """Return the FLOPs that these sequences need, whoever computes them: no padding is counted.

    ``2·L·W·T + 4·L·A·ΣLᵢ²`` with ``W`` weights in a layer's matrices, attention ``A`` wide, ``Lᵢ``
    tokens of a sequence and ``T = ΣLᵢ``. For ESM-2, of width ``H``, that is
    ``24·L·H²·T + 4·L·H·ΣLᵢ²`` with ``Lᵢ = residues + 2``. Per token and layer, the
    four attention projections multiply ``H·H`` and the feed-forward block ``2·4H·H``: together
    ``12·H²`` weights, two FLOPs each. Per sequence and layer, queries by keys and weights by values
    take ``2·Lᵢ²·H`` each. (Kaplan et al., "Scaling laws for neural language models", 2020, table 1,
    with attention that looks both ways.)

    Parameters
    ----------
    residues
        Residues of each sequence that enter the model, after truncation; BOS and EOS, or what the
        model has of them, are added.

    Raises
    ------
    InputError
        If a length is below zero.

    Examples
    --------
    >>> from embedders.checkpoints import Architecture
    >>> useful_flops(Architecture(layers=1, width=2, heads=1), [1, 2])
    872
    """
    if any(count < 0 for count in residues):
        raise InputError(f"residues of a sequence cannot be below zero: {min(residues)}")
    tokens = [count + arithmetic.special_tokens for count in residues]
    linear = 2 * arithmetic.layer_weights * sum(tokens)
    attention = 4 * arithmetic.attention_width * sum(count**2 for count in tokens)
    return arithmetic.layers * (linear + attention)


def padded_flops(arithmetic: Arithmetic, batches: Sequence[Sequence[int]]) -> int:
    """Return the FLOPs where each row of a batch costs as much as the batch's longest.

    Parameters
    ----------
    batches
        Residues of each row of each batch.

    Examples
    --------
    >>> from embedders.checkpoints import Architecture
    >>> padded_flops(Architecture(layers=1, width=2, heads=1), [[1, 2]])
    1024
    """
    return sum(
        useful_flops(arithmetic, [max(residues)] * len(residues))
        for residues in batches
        if residues
    )
