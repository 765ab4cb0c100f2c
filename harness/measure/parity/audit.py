"""Everything that is asked of one arm, with as few passes through the models as will do."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from embedders import Embedder, InputError, Modality, Truncation
from harness.measure.parity.agreement import agreement, other_runtime
from harness.measure.parity.invariance import Passes, batch_and_order, finite, repeated_run
from harness.measure.parity.layers import LayerCosine, drift_check, layer_drift
from harness.measure.parity.pooling import pooling
from harness.measure.parity.states import Trace, encoder_of, trace
from harness.measure.parity.tokens import token_count, token_ids, unknown_tokens
from harness.measure.parity.truncation import (
    cut,
    legacy_window,
    long_sequence,
    truncated_window,
)
from harness.results import ParityCheck

LAYER_SEQUENCES = 8
"""So many sequences, of all lengths, pass an arm once more to be heard layer by layer."""


@dataclass(frozen=True, slots=True)
class Audit:
    """The checks of one arm, and its layers where it computes in half precision.

    ``vectors``: float32 ``(n, width)`` of the sequences embedded together.
    """

    checks: tuple[ParityCheck, ...]
    layers: tuple[LayerCosine, ...]
    vectors: torch.Tensor


def audit_arm(
    embedder: Embedder,
    reference_loader: Callable[[], Embedder],
    sequences: Sequence[str],
    *,
    arm: str,
    tokens_per_batch: int,
) -> tuple[ParityCheck, ...]:
    """Ask everything of one arm; see :func:`examine`."""
    return examine(
        embedder, reference_loader, sequences, arm=arm, tokens_per_batch=tokens_per_batch
    ).checks


def examine(
    embedder: Embedder,
    reference_loader: Callable[[], Embedder],
    sequences: Sequence[str],
    *,
    arm: str,
    tokens_per_batch: int,
) -> Audit:
    """Ask whether what an ESM-2 embedder computes is right.

    Parameters
    ----------
    embedder
        In this process: tokens and layers are listened to.
    reference_loader
        Loads the same weights on the other library (:func:`other_runtime`) in float32. Called
        once, after the arm has done its part; the reference is dropped before this returns.
    sequences
        At least one; of all lengths, so that batches have padding.

    Raises
    ------
    InputError
        If there is no sequence, or the embedder is no ESM-2 embedder in this process.
    """
    spec = embedder.spec
    if not sequences or spec.modality is not Modality.PROTEIN:
        raise InputError(f"{spec.name}: an audit needs a protein embedder and a sequence")
    residues = [cut(embedder.clean(each).residues, embedder) for each in sequences]
    library = other_runtime(spec.runtime)
    long = long_sequence(residues, embedder)
    legacy = spec.truncation is Truncation.LEGACY

    passes = Passes.run(embedder, sequences, tokens_per_batch)
    heard = _evenly(len(residues)) if spec.dtype != "float32" else []
    own = [_trace(embedder, residues[row]) for row in heard]
    reference = reference_loader()
    theirs = [_trace(reference, each) for each in residues]
    their_long = _trace(reference, long) if legacy else None
    # it may be as large as the arm itself
    del reference
    gc.collect()

    layers = layer_drift(own, [theirs[row] for row in heard]) if heard else ()
    drift = [drift_check(layers, arm=arm, dtype=spec.dtype, sequences=len(heard))] if heard else []
    window = (
        (truncated_window(embedder, long, arm=arm),)
        if their_long is None
        else legacy_window(
            embedder, long, _trace(embedder, long), their_long, arm=arm, library=library
        )
    )
    checks = (
        batch_and_order(passes, arm=arm, dtype=spec.dtype),
        repeated_run(passes, arm=arm),
        finite(passes, arm=arm),
        token_count(embedder, sequences, residues, arm=arm),
        token_ids(embedder, sequences, residues, arm=arm, library=library),
        unknown_tokens(embedder, sequences, arm=arm),
        *window,
        *pooling(passes.together, theirs, arm=arm, library=library, dtype=spec.dtype),
        agreement(
            passes.together,
            torch.stack([each.vector for each in theirs]),
            arm=arm,
            check=f"agreement with {library}",
            sentence=f"{len(sequences)} sequences against {library} in float32",
            dtype=spec.dtype,
        ),
        *drift,
    )
    return Audit(checks, layers, passes.together)


def _trace(embedder: Embedder, residues: str) -> Trace:
    return trace(encoder_of(embedder), residues, window_residues=embedder.spec.window_residues)


def _evenly(count: int) -> list[int]:
    """At most ``LAYER_SEQUENCES`` rows at even steps, the first and the last among them."""
    most = min(count, LAYER_SEQUENCES)
    return sorted({round(step * (count - 1) / max(1, most - 1)) for step in range(most)})
