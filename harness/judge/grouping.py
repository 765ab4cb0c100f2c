"""Groups that no fold may part: connected components of everything that rows share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from embedders.errors import InputError


def connected(nodes: int, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the number of each node's connected component, int64 ``(nodes,)``.

    Parameters
    ----------
    nodes
        How many there are.
    pairs
        int64 ``(m, 2)``: which nodes are joined. The direction does not matter.

    Examples
    --------
    >>> connected(4, np.array([[0, 2], [2, 3]])).tolist()
    [0, 1, 0, 0]
    """
    from scipy.sparse import coo_array  # noqa: PLC0415  heavy, and only grouping needs it
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415

    there = np.ones(len(pairs), dtype=np.int8)
    graph = coo_array((there, (pairs[:, 0], pairs[:, 1])), shape=(nodes, nodes))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def components(partitions: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Join several ways of grouping the same rows into the finest one that parts no group of any.

    Two rows are in one component if a chain of shared groups leads from one to the other. A
    component is named by the smallest of its groups in the first partition; since none of those
    is parted, no two components have one name, and no name depends on the order of the rows.

    Parameters
    ----------
    partitions
        At least one; each names the group of every row, ``(n,)``.

    Returns
    -------
    tuple[str, ...]
        The name of each row's component.

    Raises
    ------
    InputError
        If there is no partition, or their lengths differ.

    Examples
    --------
    >>> components([["a", "b", "c"], ["x", "y", "y"]])
    ('a', 'b', 'b')
    """
    lengths = {len(partition) for partition in partitions}
    if len(lengths) != 1:
        raise InputError(f"groups of {sorted(lengths)} rows; each way of grouping names every row")
    rows = lengths.pop()
    nodes = rows
    edges = []
    for partition in partitions:
        numbers = _numbered(partition)
        edges.append(np.column_stack([np.arange(rows), nodes + numbers]))
        nodes += rows  # at most so many groups
    label = connected(nodes, np.concatenate(edges))[:rows].tolist()
    return smallest_names(label, partitions[0])


def smallest_names(numbers: Sequence[int], names: Sequence[str]) -> tuple[str, ...]:
    """Return for each row the smallest of the names that go with its number.

    Examples
    --------
    >>> smallest_names([7, 7, 3], ["b", "a", "c"])
    ('a', 'a', 'c')
    """
    smallest: dict[int, str] = {}
    for number, name in zip(numbers, names, strict=True):
        smallest[number] = min(name, smallest.get(number, name))
    return tuple(smallest[number] for number in numbers)


def _numbered(names: Sequence[str]) -> NDArray[np.int64]:
    place: dict[str, int] = {}
    return np.array([place.setdefault(name, len(place)) for name in names], dtype=np.int64)
