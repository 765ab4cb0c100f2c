"""The parity checks catch the faults they are there for."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from embedders import Embedder, load
from embedders.contract import Cleaned, EmbedderSpec
from harness.measure import agreement, batch_invariance

SEQUENCES = ["MKTAYIAKQR", "MK", "MKTAYIAKQRQISFVKSHFSRQ", "GGGG"]


class Faulty:
    """A sound embedder whose result is spoilt in one way."""

    def __init__(self, fault: str) -> None:
        self.inner: Embedder = load("esm2-8m", weights="random", layers=1, device="cpu")
        self.fault = fault

    @property
    def spec(self) -> EmbedderSpec:
        return self.inner.spec

    def clean(self, sequence: str) -> Cleaned:
        return self.inner.clean(sequence)

    def embed(self, sequences: Sequence[str], *, tokens_per_batch: int = 4096) -> torch.Tensor:
        result = self.inner.embed(sequences, tokens_per_batch=tokens_per_batch)
        if self.fault == "padding":  # as a mean over the padded batch does
            longest = max(map(len, sequences))
            lengths = torch.tensor([len(sequence) for sequence in sequences])
            return result * (lengths / longest)[:, None]
        if self.fault == "order" and len(sequences) > 1:
            return result.sort(dim=0).values
        if self.fault == "nan":
            result[0, 0] = float("nan")
        return result


def check(fault: str) -> bool:
    return batch_invariance(Faulty(fault), SEQUENCES, arm="a", tokens_per_batch=100).passed


def test_a_sound_embedder_passes() -> None:
    assert check("none")


@pytest.mark.parametrize("fault", ["padding", "order", "nan"])
def test_a_fault_is_caught(fault: str) -> None:
    assert not check(fault)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_nan_on_either_side_never_passes(dtype: str) -> None:
    sound = torch.ones(2, 3)
    spoilt = torch.tensor([[1.0, 1.0, 1.0], [1.0, float("nan"), 1.0]])
    for ours, reference in [(sound, spoilt), (spoilt, sound), (spoilt, spoilt)]:
        result = agreement(ours, reference, arm="a", check="c", sentence="s", dtype=dtype)
        assert not result.passed


def test_limits_by_dtype() -> None:
    reference = torch.randn(5, 64, generator=torch.Generator().manual_seed(0))
    near = reference * (1 + 1e-3)
    exact = agreement(near, reference, arm="a", check="c", sentence="s", dtype="float32")
    loose = agreement(near, reference, arm="a", check="c", sentence="s", dtype="bfloat16")
    assert exact.value == pytest.approx(1e-3, rel=1e-2)
    assert not exact.passed
    assert loose.passed
