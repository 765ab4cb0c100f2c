"""Where both arms get the same rows right, and the rows that they call differently."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.evidence import Agreement, Disagreement
from harness.judge.evaluation import Level
from harness.judge.metrics import DEFAULT_THRESHOLD
from harness.judge.pairing import CLASS_OF, called_right
from harness.judge.predictions import CLASSES

MOST_LISTED = 20
"""At most so many rows that the arms call differently are listed."""


def agreement(before: Level, after: Level) -> tuple[Agreement, ...]:
    """Say of each endpoint how often both arms, one of them or neither is right.

    Shares of rows and seeds. An endpoint without a row of its class is left out.
    """
    found = []
    for endpoint in CLASS_OF:
        old, new = (called_right(level, endpoint) for level in (before, after))
        if old.size:
            both, lost, won, neither = (
                int(np.count_nonzero(each)) / old.size
                for each in (old & new, old & ~new, ~old & new, ~old & ~new)
            )
            found.append(Agreement(endpoint, both, lost, won, neither))
    return tuple(found)


def disagreements(before: Level, after: Level, names: Sequence[str]) -> tuple[Disagreement, ...]:
    """List the rows whose mean probabilities over seeds lie on different sides of one half.

    ``names``: of each row. Those with the largest difference come first, then by name; 20 at most.
    """
    old, new = (level.probabilities.mean(axis=0, dtype=np.float64) for level in (before, after))
    rows = np.flatnonzero((old >= DEFAULT_THRESHOLD) != (new >= DEFAULT_THRESHOLD)).tolist()
    rows.sort(key=lambda row: (-abs(new[row] - old[row]), names[row]))
    return tuple(
        Disagreement(
            name=names[row],
            group=before.groups[row],
            label=CLASSES[before.labels[row]],
            baseline=float(old[row]),
            candidate=float(new[row]),
        )
        for row in rows[:MOST_LISTED]
    )
