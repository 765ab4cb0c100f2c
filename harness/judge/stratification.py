"""Both endpoints on parts of the rows: by length, frame, group or whatever is known of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from harness.evidence import Stratum
from harness.judge.evaluation import Level
from harness.judge.noninferiority import noninferiority
from harness.judge.pairing import CLASS_OF, called_right
from harness.spec import Gates

FEWEST_ROWS = 10
"""A stratum with fewer rows of the class is not shown by itself."""

MOST_STRATA = 12
"""At most so many strata of a kind are shown by themselves, the largest."""

OTHERS = "others"
"""The stratum of all rows that are in no stratum of their own."""

WORDS = 10**12
"""Where words stand among numbers: behind them."""

OF_FRAMES = ("frame", "length")
"""Kinds that say something of a frame, and nothing of the contig that it was cut from."""


def stratified(
    before: Level, after: Level, strata: Mapping[str, Sequence[str]], *, gates: Gates
) -> tuple[Stratum, ...]:
    """Compare both arms on each endpoint within each stratum.

    Parameters
    ----------
    before, after
        The baseline's and the candidate's rows, in one order.
    strata
        Kind to value of each row, e.g. ``{"length": ["61-120", …]}``; the empty text says that the
        row has none.
    gates
        The margin of each endpoint.

    Returns
    -------
    tuple[Stratum, ...]
        By kind, endpoint and natural order of the names. The 12 largest with at least 10 rows of
        the class stand by themselves; ``others`` holds all the rest, however few, and comes last.
        A stratum within one group has rates and no interval. Nothing here corrects for looking at
        many strata.
    """
    return tuple(
        stratum
        for by, values in strata.items()
        for endpoint in CLASS_OF
        for stratum in _of_endpoint(before, after, by, values, endpoint, gates)
    )


def of_contigs(
    contigs: Sequence[str], strata: Mapping[str, Sequence[str]]
) -> dict[str, tuple[str, ...]]:
    """Turn values of frames into values of contigs, in the order of each contig's first frame.

    A contig whose frames differ has the empty text; ``frame`` and ``length`` are left out.

    Examples
    --------
    >>> of_contigs("aab", {"group": ["g", "g", "h"], "half": ["1", "2", "1"], "frame": "123"})
    {'group': ('g', 'h'), 'half': ('', '1')}
    """
    found = {}
    for by, values in strata.items():
        if by not in OF_FRAMES:
            seen: dict[str, str] = {}
            for contig, value in zip(contigs, values, strict=True):
                if seen.setdefault(contig, value) != value:
                    seen[contig] = ""
            found[by] = tuple(seen.values())
    return found


def _of_endpoint(
    before: Level,
    after: Level,
    by: str,
    values: Sequence[str],
    endpoint: str,
    gates: Gates,
) -> list[Stratum]:
    rows = np.flatnonzero(before.labels == CLASS_OF[endpoint]).tolist()
    right, now_right = (called_right(level, endpoint) for level in (before, after))
    shown = _shown([values[row] for row in rows])
    names = np.array([values[row] if values[row] in shown else OTHERS for row in rows])
    clusters = np.array([before.groups[row] for row in rows])
    found = []
    for name in [*shown, OTHERS]:
        part = names == name
        if part.any():
            paired = noninferiority(
                right[:, part],
                now_right[:, part],
                clusters[part],
                margin=getattr(gates, f"{endpoint}_margin"),
            )
            old, new = (float(each[:, part].mean()) for each in (right, now_right))
            found.append(Stratum(by, name, endpoint, old, new, paired))
    return found


def _shown(values: Sequence[str]) -> list[str]:
    """Return the names of the strata that stand by themselves, in natural order."""
    counts = Counter(value for value in values if value not in ("", OTHERS))
    large = [name for name, count in counts.items() if count >= FEWEST_ROWS]
    large.sort(key=lambda name: (-counts[name], _natural(name)))
    return sorted(large[:MOST_STRATA], key=_natural)


def _natural(name: str) -> tuple[tuple[tuple[int, str], ...], str]:
    """Order texts so that numbers in them rise, before words: 61-120, 121-300, over 300."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return tuple(
        (int(part), "") if part[0] in "0123456789" else (WORDS, part) for part in parts
    ), name
