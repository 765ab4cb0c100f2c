"""A sound arm passes every audit; each fault fails the one that is there for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import pytest
import torch

from embedders import Embedder, InputError, load
from harness.measure import (
    BatchDependent,
    Faulty,
    NaivePooling,
    OffByTwoTruncation,
    ShuffledRows,
    Unsteady,
    WithNaN,
    audit_arm,
    examine,
    other_runtime,
)
from harness.results import to_json
from tests.harness.measure.parity.conftest import Loader

ARMS = [
    ("fair-esm", "float32", "truncate"),
    ("fair-esm", "bfloat16", "legacy"),
    ("huggingface", "float32", "legacy"),
    ("huggingface", "bfloat16", "truncate"),
    ("packed", "float32", "truncate"),
    ("packed", "bfloat16", "legacy"),
]
FAULTS = [
    (NaivePooling, {"pooling", "batch and order", "BOS and EOS"}),
    (partial(NaivePooling, padding=False), {"pooling", "BOS and EOS"}),
    (ShuffledRows, {"batch and order"}),
    (OffByTwoTruncation, {"window"}),
    (BatchDependent, {"batch and order"}),
    (Unsteady, {"repeated run"}),
    (WithNaN, {"NaN and infinity"}),
]


def failed(
    loader: Loader,
    sequences: Sequence[str],
    arm: tuple[str, str, str],
    spoil: Callable[[Embedder], Embedder] = Faulty,
) -> list[str]:
    runtime, dtype, policy = arm
    checks = audit_arm(
        spoil(loader(runtime, dtype, policy)),
        partial(loader, other_runtime(runtime), "float32", policy),
        sequences,
        arm="a",
        tokens_per_batch=600,
    )
    to_json(checks)  # a value that JSON has no form for would raise
    assert len({each.check for each in checks}) == len(checks)
    return [each.check for each in checks if not each.passed]


@pytest.mark.parametrize("arm", ARMS, ids="-".join)
def test_a_sound_arm_passes_every_audit(
    loader: Loader, sequences: list[str], arm: tuple[str, str, str]
) -> None:
    assert not failed(loader, sequences, arm)


@pytest.mark.parametrize("arm", [ARMS[3], ARMS[4]], ids="-".join)
@pytest.mark.parametrize(("fault", "checks"), FAULTS)
def test_each_fault_fails_the_audit_that_is_there_for_it(
    loader: Loader,
    sequences: list[str],
    arm: tuple[str, str, str],
    fault: Callable[[Embedder], Embedder],
    checks: set[str],
) -> None:
    assert checks <= set(failed(loader, sequences[:6], arm, fault))


@pytest.mark.parametrize("arm", ARMS, ids="-".join)
def test_a_window_that_is_off_by_two_is_seen_by_nothing_else(
    loader: Loader, sequences: list[str], arm: tuple[str, str, str]
) -> None:
    found = failed(loader, sequences[:2], arm, OffByTwoTruncation)
    # in float32 the other library disagrees as well; both checks are of the window
    assert found
    assert all(each.startswith("window") for each in found)


def test_the_other_library_with_other_weights_is_no_agreement(
    loader: Loader, sequences: list[str]
) -> None:
    other = partial(load, "mini-candidate", runtime="huggingface", weights="random", device="cpu")
    checks = audit_arm(loader("fair-esm"), other, sequences[:4], arm="a", tokens_per_batch=600)
    assert {each.check for each in checks if not each.passed} >= {
        "agreement with huggingface",
        "pooling",
    }


def test_the_reference_is_loaded_once_and_after_the_arm_has_run(
    loader: Loader, sequences: list[str]
) -> None:
    events: list[str] = []

    class Counted(Faulty):
        def embed(self, texts: Sequence[str], *, tokens_per_batch: int = 1) -> torch.Tensor:
            events.append("arm")
            return Faulty.embed(self, texts, tokens_per_batch=tokens_per_batch)

    def reference() -> Embedder:
        events.append("reference")
        return loader("huggingface")

    audit_arm(Counted(loader("fair-esm")), reference, sequences[:4], arm="a", tokens_per_batch=600)
    assert events.count("reference") == 1
    assert events[:3] == ["arm"] * 3


def test_layers_are_compared_in_half_precision_only(loader: Loader, sequences: list[str]) -> None:
    found = {
        dtype: examine(
            loader("packed", dtype),
            partial(loader, "fair-esm"),
            sequences[:3],
            arm="a",
            tokens_per_batch=600,
        )
        for dtype in ("float32", "bfloat16")
    }
    assert not found["float32"].layers
    assert "drift of bfloat16" in [each.check for each in found["bfloat16"].checks]
    # 4 layers: the row of mini-candidate in the table of checkpoints
    assert [each.layer for each in found["bfloat16"].layers] == ["1", "2", "3", "4", "last norm"]


def test_one_short_sequence_is_enough(loader: Loader) -> None:
    assert not failed(loader, ["MKT"], ARMS[3])


def test_what_cannot_be_audited_is_refused(loader: Loader, sequences: list[str]) -> None:
    reference = partial(loader, "fair-esm")
    with pytest.raises(InputError, match="protein embedder"):
        audit_arm(load("kmer4"), reference, ["ACGT"], arm="a", tokens_per_batch=1)
    with pytest.raises(InputError, match="protein embedder"):
        audit_arm(loader("packed"), reference, [], arm="a", tokens_per_batch=1)
    with pytest.raises(InputError, match="no encoder to look into"):
        audit_arm(
            _Opaque(loader("packed", "bfloat16")),
            reference,
            sequences[:2],
            arm="a",
            tokens_per_batch=100,
        )


class _Opaque:
    """As an embedder in another process: its vectors come, its model does not."""

    def __init__(self, inner: Embedder) -> None:
        self.spec, self.clean, self.embed = inner.spec, inner.clean, inner.embed
