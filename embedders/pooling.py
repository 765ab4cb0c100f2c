"""The mean over residues: one vector per sequence from one vector per token."""

from __future__ import annotations

import torch


def mean_over_residues(
    hidden: torch.Tensor, lengths: torch.Tensor, window_residues: int, *, first: int = 1
) -> torch.Tensor:
    """Average the hidden states of the first residues of each row.

    BOS, EOS and padding never enter: averaging them too, as ``last_hidden_state.mean(dim=1)``
    does, makes a vector depend on what shares its batch.

    Parameters
    ----------
    hidden
        ``(n, tokens, width)`` of any floating dtype: BOS, residues, EOS, padding.
    lengths
        Residues of each row, ``(n,)``, each at least 1.
    window_residues
        At most so many residues are pooled, from the first.
    first
        Where the first residue is: behind BOS, or 0 for a model without.

    Returns
    -------
    torch.Tensor
        float32 ``(n, width)`` on the device of ``hidden``; summed in float32.
    """
    counted = lengths.to(hidden.device).clamp(max=window_residues)
    position = torch.arange(hidden.shape[1], device=hidden.device)
    outside = (position < first) | (position >= first + counted[:, None])
    # masked_fill rather than a product: whatever stands in the padding, NaN included, is left out
    summed = hidden.float().masked_fill(outside[:, :, None], 0.0).sum(dim=1)
    return summed / counted[:, None].float()
