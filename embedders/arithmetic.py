"""What of an encoder decides how much it computes and moves: one layer's matrices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from embedders.errors import InputError


class Arithmetic(Protocol):
    """The matrix products of an encoder of like layers."""

    @property
    def layers(self) -> int:
        """How many layers there are."""
        ...

    @property
    def layer_weights(self) -> int:
        """Numbers in the matrices of one layer, each multiplied once per token."""
        ...

    @property
    def attention_width(self) -> int:
        """Width of the queries of all heads together."""
        ...

    @property
    def layer_traffic(self) -> int:
        """Numbers that the steps of one layer read and write per token, beside the weights."""
        ...

    @property
    def special_tokens(self) -> int:
        """Tokens of a sequence that stand for no residue."""
        ...


@dataclass(frozen=True, slots=True)
class Block:
    """A layer of attention and feed-forward whose widths need not follow from one another.

    ``width`` is the model's, ``attention_width`` that of all heads together, ``feed_forward`` that
    inside the feed-forward block; a ``gated`` block has two matrices on the way up.
    """

    layers: int
    width: int
    attention_width: int
    feed_forward: int
    gated: bool
    special_tokens: int

    def __post_init__(self) -> None:
        if min(self.layers, self.width, self.attention_width, self.feed_forward) < 1:
            raise InputError(f"layers and widths must be at least 1: {self}")

    @property
    def layer_weights(self) -> int:
        """Four projections of attention, and two or three matrices of the feed-forward block."""
        matrices = 3 if self.gated else 2
        return self.width * (4 * self.attention_width + matrices * self.feed_forward)

    @property
    def layer_traffic(self) -> int:
        """What each step takes and gives once, activations and gates fused into the products.

        Queries, keys and values ``H + 3A``, attention ``3A + A``, its projection ``A + H``, up
        ``H + F``, down ``F + H``.
        """
        return 4 * self.width + 8 * self.attention_width + 2 * self.feed_forward
