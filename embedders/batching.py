"""Length-sorted batches under a token budget."""

from __future__ import annotations

from collections.abc import Sequence

from embedders.errors import InputError

SPECIAL_TOKENS = 2
"""BOS and EOS, which every row of a batch carries beside its residues."""


def plan_batches(
    lengths: Sequence[int], tokens_per_batch: int, *, pads: bool = True
) -> list[list[int]]:
    """Group rows of like length so that no batch costs more than the budget.

    Rows are taken longest first, so the most expensive batch comes first and running out of
    memory shows at once. A row that alone exceeds the budget gets a batch of its own. See
    :func:`batch_cost` for what a batch costs.

    Parameters
    ----------
    lengths
        Residues of each row, ``(n,)``.
    tokens_per_batch
        The budget, at least 1.
    pads
        Whether the rows of a batch are padded to the longest.

    Returns
    -------
    list[list[int]]
        Indices into ``lengths``; each index once.

    Raises
    ------
    InputError
        If the budget is below 1.

    Examples
    --------
    >>> plan_batches([3, 10, 2, 9], tokens_per_batch=24)
    [[1, 3], [0, 2]]
    >>> plan_batches([3, 10, 2, 7], tokens_per_batch=26, pads=False)
    [[1, 3, 0], [2]]
    """
    if tokens_per_batch < 1:
        raise InputError(f"tokens_per_batch must be at least 1, not {tokens_per_batch}")
    batches: list[list[int]] = []
    cost = 0
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        # the first row of a padded batch is its longest: each further one costs as much
        row = lengths[batches[-1][0] if pads and batches else index] + SPECIAL_TOKENS
        if batches and cost + row <= tokens_per_batch:
            batches[-1].append(index)
            cost += row
        else:
            batches.append([index])
            cost = lengths[index] + SPECIAL_TOKENS
    return batches


def batch_cost(lengths: Sequence[int], *, pads: bool = True) -> int:
    """Tokens of one batch: ``n · (longest + 2)`` if it is padded, else the sum of ``length + 2``.

    Examples
    --------
    >>> batch_cost([3, 10]), batch_cost([3, 10], pads=False)
    (24, 17)
    """
    if pads:
        return len(lengths) * (max(lengths, default=0) + SPECIAL_TOKENS)
    return sum(lengths) + len(lengths) * SPECIAL_TOKENS
