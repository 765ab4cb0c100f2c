"""Batch, order, repetition and NaN: the checks catch the faults they are there for."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from embedders import Embedder
from harness.measure import (
    BatchDependent,
    Faulty,
    NaivePooling,
    ShuffledRows,
    Unsteady,
    WithNaN,
    agreement,
    batch_invariance,
)
from harness.measure.parity.invariance import Passes, finite, repeated_run
from tests.harness.measure.parity.conftest import Loader

SEQUENCES = ["MKTAYIAKQR", "MK", "MKTAYIAKQRQISFVKSHFSRQ", "GGGG"]
DTYPES = ("float32", "bfloat16")


def check(embedder: Embedder) -> bool:
    return batch_invariance(embedder, SEQUENCES, arm="a", tokens_per_batch=100).passed


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_sound_embedder_depends_on_nothing_but_the_sequence(loader: Loader, dtype: str) -> None:
    assert check(Faulty(loader("huggingface", dtype)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("fault", [NaivePooling, ShuffledRows, BatchDependent, WithNaN])
def test_dependence_on_the_batch_is_caught(
    loader: Loader, fault: Callable[[Embedder], Embedder], dtype: str
) -> None:
    assert not check(fault(loader("huggingface", dtype)))


def test_noise_below_the_limit_of_agreement_is_caught_by_a_repeated_run(loader: Loader) -> None:
    embedder = loader("huggingface")
    assert repeated_run(Passes.run(embedder, SEQUENCES, 100), arm="a").value == 0
    noisy = Unsteady(embedder)
    assert check(noisy)
    assert not repeated_run(Passes.run(noisy, SEQUENCES, 100), arm="a").passed


def test_every_value_that_is_no_number_is_counted() -> None:
    sound = torch.ones(2, 3)
    spoilt = torch.tensor([[1.0, float("inf"), 1.0], [1.0, float("nan"), float("-inf")]])
    assert finite(Passes(sound, sound, sound, sound), arm="a").passed
    assert finite(Passes(sound, spoilt, sound, spoilt), arm="a").value == 6
    assert not repeated_run(Passes(spoilt, spoilt, sound, sound), arm="a").passed


@pytest.mark.parametrize("dtype", DTYPES)
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


def test_in_half_precision_a_wrong_length_fails_although_the_direction_is_right() -> None:
    reference = torch.randn(5, 64, generator=torch.Generator().manual_seed(0))
    halved = agreement(reference / 2, reference, arm="a", check="c", sentence="s", dtype="bfloat16")
    # 2 · (1/2) / (1 + 1/4), by the formula
    assert halved.value == pytest.approx(0.8)
    assert not halved.passed
