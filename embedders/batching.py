"""Length-sorted batches under a token budget."""

from __future__ import annotations

from collections.abc import Sequence

from embedders.errors import InputError

SPECIAL_TOKENS = 2
"""BOS and EOS, which every row of a batch carries beside its residues."""


def plan_batches(lengths: Sequence[int], tokens_per_batch: int) -> list[list[int]]:
    """Group rows of like length so that no padded batch exceeds the budget.

    A batch of ``n`` rows costs ``n · (longest + 2)`` tokens. Rows are taken longest first, so the
    most expensive batch comes first and running out of memory shows at once. A row that alone
    exceeds the budget gets a batch of its own.

    Parameters
    ----------
    lengths
        Residues of each row, ``(n,)``.
    tokens_per_batch
        The budget, at least 1.

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
    """
    if tokens_per_batch < 1:
        raise InputError(f"tokens_per_batch must be at least 1, not {tokens_per_batch}")
    batches: list[list[int]] = []
    row_cost = 0
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batches and (len(batches[-1]) + 1) * row_cost <= tokens_per_batch:
            batches[-1].append(index)
        else:
            row_cost = lengths[index] + SPECIAL_TOKENS
            batches.append([index])
    return batches
