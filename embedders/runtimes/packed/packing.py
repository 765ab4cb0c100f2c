"""The tokens of one batch in one row, and where each sequence begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from embedders.alphabet import encode_joined
from embedders.batching import SPECIAL_TOKENS

POOLED = 1
"""Which of a sequence's three stretches is pooled: BOS, residues in the window, the rest."""


@dataclass(frozen=True, slots=True)
class Packing:
    """One batch of ``n`` sequences with ``t`` tokens in all.

    Attributes
    ----------
    lengths
        Tokens of each sequence, BOS and EOS included; known here without asking the device.
    tokens
        int32 ``(t,)`` on the device.
    positions
        int32 ``(t,)`` on the device: place of each token in its own sequence.
    starts
        int32 ``(n + 1,)`` on the device: first token of each sequence, and the end.
    stretches
        int32 ``(3 · n,)`` on the device: tokens before, in and after the pooled window.
    """

    lengths: tuple[int, ...]
    tokens: torch.Tensor
    positions: torch.Tensor
    starts: torch.Tensor
    stretches: torch.Tensor

    @property
    def longest(self) -> int:
        """Tokens of the longest sequence."""
        return max(self.lengths)


def pack(sequences: Sequence[str], window_residues: int, device: torch.device) -> Packing:
    """Put clean sequences into one row, in the order given.

    Everything the device needs travels in a single copy, from pinned memory to a GPU, so that the
    device need not stop for it.

    Parameters
    ----------
    sequences
        At least one; clean, never empty.
    window_residues
        At most so many residues of each are pooled.
    """
    tokens, residues = encode_joined(sequences)
    lengths = residues + SPECIAL_TOKENS
    starts = np.concatenate(([0], np.cumsum(lengths)))
    positions = np.arange(len(tokens)) - np.repeat(starts[:-1], lengths)
    pooled = np.minimum(residues, window_residues)
    stretches = np.stack((np.ones_like(pooled), pooled, lengths - 1 - pooled), axis=1).ravel()
    parts = [each.astype(np.int32) for each in (tokens, positions, starts, stretches)]
    joined = torch.from_numpy(np.concatenate(parts))
    if device.type == "cuda":
        joined = joined.pin_memory().to(device, non_blocking=True)
    return Packing(tuple(lengths.tolist()), *torch.split(joined, [len(part) for part in parts]))


def mean_over_windows(hidden: torch.Tensor, packing: Packing) -> torch.Tensor:
    """Average the hidden states of each sequence over the residues of its window.

    Parameters
    ----------
    hidden
        ``(t, width)`` of any floating dtype.

    Returns
    -------
    torch.Tensor
        float32 ``(n, width)`` on the device of ``hidden``; summed in float32, each sequence by
        itself and in a fixed order.
    """
    if hidden.device.type == "cuda":
        means = torch.segment_reduce(
            hidden.float(), "mean", lengths=packing.stretches, axis=0, unsafe=True
        )
        return means[POOLED::3]
    stretches = torch.split(hidden, packing.stretches.tolist())
    return torch.stack([each.float().mean(dim=0) for each in stretches[POOLED::3]])
