"""Everything that is asked of one arm, with as few passes through the models as will do."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from embedders import CHECKPOINTS, Embedder, Family, InputError, Modality, Truncation
from harness.measure.parity.agreement import agreement, other_runtime
from harness.measure.parity.invariance import Passes, batch_and_order, finite, repeated_run
from harness.measure.parity.layers import LayerCosine, drift_check, layer_drift
from harness.measure.parity.pooling import pooling
from harness.measure.parity.states import Trace, encoder_of, trace
from harness.measure.parity.tokens import token_count, token_ids, unknown_tokens
from harness.measure.parity.truncation import (
    CHECK,
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

    ``vectors``: float32 ``(n, width)`` of the sequences embedded together. ``unasked`` says what
    could not be asked of this embedder, and why; nothing where everything was.
    """

    checks: tuple[ParityCheck, ...]
    layers: tuple[LayerCosine, ...]
    vectors: torch.Tensor
    unasked: str = ""


def audit_arm(
    embedder: Embedder,
    reference_loader: Callable[[], Embedder] | None,
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
    reference_loader: Callable[[], Embedder] | None,
    sequences: Sequence[str],
    *,
    arm: str,
    tokens_per_batch: int,
) -> Audit:
    """Ask whether what an embedder computes is right.

    Of ESM-2 everything is asked: two libraries compute it, and where its tokens and layers are is
    known. Of any other embedder it is asked what can be told from its vectors: that they depend on
    nothing but their own sequence and its window, and are those of its other runtime.

    Parameters
    ----------
    embedder
        In this process: tokens and layers of ESM-2 are listened to.
    reference_loader
        Loads the same weights on the other runtime (:func:`reference_runtime`) in float32; None
        where there is none. Called once, after the arm has done its part; the reference is dropped
        before this returns.
    sequences
        At least one; of all lengths, so that batches have padding.

    Raises
    ------
    InputError
        If there is no sequence, the embedder embeds no proteins, or an ESM-2 embedder is not in
        this process or has no reference.
    """
    spec = embedder.spec
    if not sequences or spec.modality is not Modality.PROTEIN:
        raise InputError(f"{spec.name}: an audit needs a protein embedder and a sequence")
    row = CHECKPOINTS.get(spec.name)
    if row is None or row.family is not Family.ESM2:
        return _of_vectors(
            embedder, reference_loader, sequences, arm=arm, tokens_per_batch=tokens_per_batch
        )
    if reference_loader is None:
        raise InputError(f"{spec.name}: an audit of an ESM-2 embedder needs the other library")
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


def _of_vectors(
    embedder: Embedder,
    reference_loader: Callable[[], Embedder] | None,
    sequences: Sequence[str],
    *,
    arm: str,
    tokens_per_batch: int,
) -> Audit:
    """Ask what can be asked without knowing where an embedder's tokens and layers are."""
    spec = embedder.spec
    residues = [cut(embedder.clean(each).residues, embedder) for each in sequences]
    long = long_sequence(residues, embedder)
    passes = Passes.run(embedder, sequences, tokens_per_batch)
    checks = [
        batch_and_order(passes, arm=arm, dtype=spec.dtype),
        repeated_run(passes, arm=arm),
        finite(passes, arm=arm),
    ]
    if spec.truncation is Truncation.TRUNCATE:
        checks.append(truncated_window(embedder, long, arm=arm))
    if reference_loader is None:
        unasked = (
            f"{spec.name} has one runtime only, {spec.runtime}, and nothing to be held against"
        )
        return Audit(tuple(checks), (), passes.together, unasked)
    reference = reference_loader()
    compared = [("agreement with", list(sequences))]
    if spec.truncation is Truncation.LEGACY:
        compared.append((f"{CHECK} against", [long]))
    for check, texts in compared:
        checks.append(
            agreement(
                embedder.embed(texts, tokens_per_batch=tokens_per_batch),
                reference.embed(texts, tokens_per_batch=1),
                arm=arm,
                check=f"{check} {reference.spec.runtime}",
                sentence=f"{len(texts)} sequences against {reference.spec.runtime} in float32",
                dtype=spec.dtype,
            )
        )
    return Audit(tuple(checks), (), passes.together)


def _trace(embedder: Embedder, residues: str) -> Trace:
    return trace(encoder_of(embedder), residues, window_residues=embedder.spec.window_residues)


def _evenly(count: int) -> list[int]:
    """At most ``LAYER_SEQUENCES`` rows at even steps, the first and the last among them."""
    most = min(count, LAYER_SEQUENCES)
    return sorted({round(step * (count - 1) / max(1, most - 1)) for step in range(most)})
