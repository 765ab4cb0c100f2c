"""The window: what lies beyond it must not count, and everything within it must."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle, islice

from embedders import Embedder, Truncation
from harness.measure.parity.agreement import WORST, agreement
from harness.measure.parity.states import Trace
from harness.results import ParityCheck

EDGE_LIMIT = 0.1
_BEYOND_TRUNCATED = 8
_BEYOND_LEGACY = 128
"""Residues behind the window: few where they are cut off, more where they enter the model."""

CHECK = "window"


def cut(residues: str, embedder: Embedder) -> str:
    """Return what of a clean sequence enters the model under the embedder's policy."""
    spec = embedder.spec
    whole = spec.truncation is Truncation.LEGACY
    return residues if whole else residues[: spec.window_residues]


def long_sequence(residues: Sequence[str], embedder: Embedder) -> str:
    """Return a sequence that is longer than the window, made of given ones in turn."""
    legacy = embedder.spec.truncation is Truncation.LEGACY
    beyond = _BEYOND_LEGACY if legacy else _BEYOND_TRUNCATED
    letters = (letter for sequence in cycle(residues) for letter in sequence)
    return "".join(islice(letters, embedder.spec.window_residues + beyond))


def truncated_window(embedder: Embedder, long: str, *, arm: str) -> ParityCheck:
    """Ask whether a sequence longer than the window gives the vector of its first residues.

    It must be that of the first ``window_residues`` residues, and not that of one less: the
    distance to the former is given as a share of what the last residue of the window changes. A
    window that is too short by any number takes that change away, one that is too long makes the
    share about 1; no dtype blurs either, as equal tokens enter.
    """
    window = embedder.spec.window_residues
    texts = (long, long[:window], long[: window - 1])
    whole, exact, shorter = embedder.embed(texts, tokens_per_batch=1).double()
    edge = float((exact - shorter).norm())
    share = float((whole - exact).norm()) / edge if edge > 0 else WORST
    return ParityCheck(
        arm=arm,
        check=CHECK,
        sentence=f"{len(long):,} residues against their first {window:,}: difference as a share "
        f"of what residue {window:,} changes",
        value=share if share < WORST else WORST,
        limit=EDGE_LIMIT,
        at_least=False,
    )


def legacy_window(
    embedder: Embedder, long: str, own: Trace, reference: Trace, *, arm: str, library: str
) -> tuple[ParityCheck, ParityCheck]:
    """Ask whether the whole sequence enters and only the window is pooled.

    Both traces are of the whole sequence: ``own`` in the arm's encoder, whose states are exactly
    those that were pooled, so that a window that is off by one shows in half precision too;
    ``reference`` in the other library, which nothing of the arm has touched.
    """
    vector = embedder.embed([long], tokens_per_batch=1)
    average = f"of all {len(long):,} residues, the first {embedder.spec.window_residues:,} averaged"
    return (
        agreement(
            vector,
            own.residues_mean[None].float(),
            arm=arm,
            check=CHECK,
            sentence=f"a vector against the arm's own states {average}",
            dtype="float32",
        ),
        agreement(
            vector,
            reference.residues_mean[None].float(),
            arm=arm,
            check=f"{CHECK} against {library}",
            sentence=f"a vector against {library}'s states {average}",
            dtype=embedder.spec.dtype,
        ),
    )
