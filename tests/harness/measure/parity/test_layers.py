"""Drift in half precision is found and its layer named."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch

from embedders import load
from harness.measure import examine
from harness.measure.parity.layers import LayerCosine, drift_check, layer_drift
from harness.measure.parity.states import Trace
from tests.harness.measure.parity.conftest import NAME, Loader


def heard(layers: torch.Tensor) -> Trace:
    return Trace(layers[-1].float(), layers.double(), layers[-1].double(), tokens=5)


def test_cosines_are_the_smallest_over_sequences_of_each_layer() -> None:
    ones = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    turned = torch.tensor([[1.0, 1.0], [0.0, 1.0]])
    found = layer_drift([heard(ones), heard(ones)], [heard(ones), heard(turned)])
    # (1, 0) and (1, 1) lie 45° apart
    assert [each.cosine for each in found] == pytest.approx([math.sqrt(0.5), 1.0])
    assert [each.layer for each in found] == ["1", "last norm"]


def test_nan_is_the_worst_there_is() -> None:
    spoilt = torch.tensor([[1.0, float("nan")], [0.0, 1.0]])
    found = layer_drift([heard(spoilt)], [heard(torch.eye(2))])
    assert [each.cosine for each in found] == pytest.approx([-1.0, 1.0])
    check = drift_check(found, arm="a", dtype="float16", sequences=1)
    assert not check.passed
    assert "worst behind layer 1:" in check.sentence


def test_the_last_norm_is_named_as_such() -> None:
    layers = (LayerCosine("1", 0.9999), LayerCosine("last norm", 0.9))
    check = drift_check(layers, arm="a", dtype="bfloat16", sequences=3)
    assert "of 1 layers" in check.sentence
    assert "worst behind last norm:" in check.sentence


def test_other_depths_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="shapes differ"):
        layer_drift([heard(torch.eye(2))], [heard(torch.eye(3)[:, :2])])


def test_a_layer_with_spoilt_weights_is_the_first_below_the_limit(
    loader: Loader, sequences: list[str]
) -> None:
    embedder = load(NAME, runtime="huggingface", dtype="bfloat16", device="cpu")
    third = embedder.encoder.model.encoder.layer[2]  # type: ignore[attr-defined]
    with torch.no_grad():
        third.output.dense.weight.mul_(0.5)
    found = examine(
        embedder, partial(loader, "fair-esm"), sequences[:3], arm="a", tokens_per_batch=600
    )
    below = [each.layer for each in found.layers if each.cosine < 0.999]
    assert below[0] == "3"
    assert not next(each for each in found.checks if each.check == "drift of bfloat16").passed
