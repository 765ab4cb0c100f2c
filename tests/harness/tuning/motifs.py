"""Proteins whose label is the order of two residues: what a mean of frozen vectors hardly tells."""

from __future__ import annotations

import numpy as np

from harness.tuning import Proteins

LENGTH = 16
GROUPS = 12


def motifs(count: int, *, seed: int) -> Proteins:
    """Return as many host proteins, which hold ``CW``, as viral ones, which hold ``WC``.

    Both classes are made of the same residues, wherever the two stand, so that composition says
    nothing. Each group is of one class.
    """
    rng = np.random.default_rng(seed)
    residues = []
    for row in range(count):
        drawn = rng.choice(list("AGLSEKDT"), LENGTH).tolist()
        at = int(rng.integers(0, LENGTH - 1))
        drawn[at : at + 2] = "WC" if row % 2 else "CW"
        residues.append("".join(drawn))
    return Proteins(
        tuple(residues),
        np.arange(count, dtype=np.int64) % 2,
        tuple(f"group-{row % GROUPS}" for row in range(count)),
    )
