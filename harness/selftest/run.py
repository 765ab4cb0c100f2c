"""All traps, one after the other, around one embedder."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from embedders import Embedder
from harness import measure
from harness.selftest import storage, vectors, verdicts
from harness.selftest.data import make_up
from harness.selftest.trap import Control, SelfTest
from harness.selftest.vectors import TOKENS_PER_BATCH

CONTROL_ROUNDS = 6
CONTROL_SEQUENCES = 24
SAME = 0.05
"""An embedder may look so much faster than itself, in parts of 1, by the machine's noise alone."""


def run(embedder: Embedder, reference: Callable[[], Embedder], *, seed: int = 0) -> SelfTest:
    """Plant every fault around an embedder that is sound, and say which guards noticed.

    Parameters
    ----------
    embedder
        Any ESM-2 embedder in this process.
    reference
        Loads the same weights on the other library in float32, for the parity audits.
    seed
        Of the made-up proteins and of the noise.
    """
    started = time.perf_counter()
    made_up = make_up(seed)
    matrix = embedder.embed(made_up.sequences, tokens_per_batch=TOKENS_PER_BATCH)
    with TemporaryDirectory() as folder:
        judged, same = verdicts.traps(made_up, matrix, Path(folder), seed)
        traps = (
            # each audit asks for it again, and it may be large
            *vectors.traps(embedder, cache(reference), made_up.sequences),
            *storage.traps(embedder, made_up, Path(folder)),
            *judged,
        )
    controls = (same, _speed(embedder, made_up.sequences[:CONTROL_SEQUENCES]))
    return SelfTest(embedder.spec.name, time.perf_counter() - started, traps, controls)


def _speed(embedder: Embedder, sequences: tuple[str, ...]) -> Control:
    """Let the embedder contend with itself."""
    found = measure.control(
        lambda _: embedder.embed(sequences, tokens_per_batch=TOKENS_PER_BATCH),
        rounds=CONTROL_ROUNDS,
        device=embedder.spec.device,
    )
    near = abs(found.ratio - 1) <= SAME
    return Control(
        compared="seconds of an embedder against itself, in paired rounds",
        found=f"{found.ratio:.3f}× [{found.lower:.3f}, {found.upper:.3f}]",
        holds=measure.holds_one(found) or near,
    )
