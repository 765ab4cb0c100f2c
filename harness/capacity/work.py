"""The arithmetic of embedding, parted into what grows with the tokens and with their pairs.

A device does the two at unlike rates: linear layers are large matrix products, attention is many
small ones. Which part is larger depends on how long sequences are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from embedders.arithmetic import Arithmetic
from embedders.batching import plan_batches
from harness import measure
from harness.capacity.demand import Lengths


@dataclass(frozen=True, slots=True)
class Work:
    """FLOPs of linear layers and of attention.

    ``starts`` counts the times that a model began cold: its process, its loading, its first pass.
    """

    linear_flops: float
    attention_flops: float
    starts: int = 0

    @property
    def flops(self) -> float:
        """Both together."""
        return self.linear_flops + self.attention_flops

    def __add__(self, other: Work) -> Work:
        return Work(
            self.linear_flops + other.linear_flops,
            self.attention_flops + other.attention_flops,
            self.starts + other.starts,
        )

    def times(self, factor: float) -> Work:
        """Return the same work so many times over, begun as often as before."""
        return Work(self.linear_flops * factor, self.attention_flops * factor, self.starts)


@dataclass(frozen=True, slots=True)
class Way:
    """How sequences go through a model.

    ``window`` is the most residues that enter it, None for all of them (legacy truncation);
    ``shard_size`` sequences at a time are sorted into batches of ``tokens_per_batch``.
    """

    arithmetic: Arithmetic
    tokens_per_batch: int
    pads: bool
    window: int | None
    shard_size: int = 10_000

    def entering(self, residues: int) -> int:
        """Return how many of a sequence's residues enter the model."""
        return residues if self.window is None else min(residues, self.window)

    def tokens(self, residues: int) -> int:
        """Return how many tokens a sequence is in the model."""
        return self.entering(residues) + self.arithmetic.special_tokens


def split(arithmetic: Arithmetic) -> tuple[int, int]:
    """Return the FLOPs of a token in linear layers, and of a pair of tokens in attention.

    Read off :func:`harness.measure.useful_flops`, which is ``a·S + b·S²`` for a sequence of ``S``
    tokens, so that there is one formula.

    Examples
    --------
    >>> from embedders.checkpoints import Architecture
    >>> split(Architecture(layers=33, width=1280, heads=20))
    (1297612800, 168960)
    """
    none, one, two = (measure.useful_flops(arithmetic, [residues]) for residues in range(3))
    pair = (none - 2 * one + two) // 2
    return one - none - pair * (2 * arithmetic.special_tokens + 1), pair


def useful_work(way: Way, residues: Sequence[int]) -> Work:
    """Return what these sequences need, whoever computes them: no padding is counted."""
    tokens = [way.tokens(each) for each in residues]
    return _work(way, sum(tokens), sum(each**2 for each in tokens))


def executed_work(way: Way, residues: Sequence[int]) -> Work:
    """Return what is computed for these sequences, padding included where the runtime pads."""
    if not way.pads:
        return useful_work(way, residues)
    tokens = pairs = 0
    for start in range(0, len(residues), way.shard_size):
        entering = [way.entering(each) for each in residues[start : start + way.shard_size]]
        for batch in plan_batches(entering, way.tokens_per_batch):
            longest = way.tokens(entering[batch[0]])
            tokens += len(batch) * longest
            pairs += len(batch) * longest**2
    return _work(way, tokens, pairs)


def whole_run(way: Way, lengths: Lengths, sequences: int) -> Work:
    """Return what a run of so many sequences computes: windows of the same mix, and a last one."""
    full, rest = divmod(sequences, way.shard_size)
    last = executed_work(way, lengths.sample(rest))
    if not full:
        return last
    return executed_work(way, lengths.sample(way.shard_size)).times(full) + last


def useful_run(way: Way, lengths: Lengths, sequences: int) -> Work:
    """Return what so many sequences of this mix need, exactly."""
    tokens = pairs = 0
    for residues, count in lengths.counts:
        each = way.tokens(residues)
        tokens += count * each
        pairs += count * each**2
    return _work(way, tokens, pairs).times(sequences / lengths.sequences)


def _work(way: Way, tokens: int, pairs: int) -> Work:
    token, pair = split(way.arithmetic)
    return Work(token * tokens, pair * pairs)
