"""Dropout by single bits is dropout, and training in bfloat16 leaves a float32 network."""

from __future__ import annotations

import pytest
import torch

from classifier import MLPClassifier
from classifier.precision import HalfDropout, training_in_bfloat16


def test_one_half_of_the_units_is_dropped_and_the_other_doubled() -> None:
    torch.manual_seed(0)
    kept = HalfDropout().train()(torch.ones(1000, 500))
    assert set(kept.unique().tolist()) == {0.0, 2.0}
    # 500,000 units: the standard error of the share is 0.0007
    assert kept.mean().item() == pytest.approx(1, abs=0.005)
    assert kept.mean(dim=0).std().item() == pytest.approx(1000**-0.5, rel=0.1)
    assert kept.mean(dim=1).std().item() == pytest.approx(500**-0.5, rel=0.1)


def test_neighbouring_units_are_dropped_independently() -> None:
    torch.manual_seed(0)
    kept = HalfDropout().train()(torch.ones(2000, 64)) - 1
    correlations = kept.T @ kept / 2000 - torch.eye(64)
    # of 2,016 correlations with a standard error of 0.022 each, the largest is below 5 of them
    assert correlations.abs().max().item() < 0.11


@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (5, 8)])
def test_any_number_of_units_can_be_dropped(shape: tuple[int, int]) -> None:
    assert HalfDropout().train()(torch.ones(shape)).shape == shape


def test_nothing_is_dropped_in_evaluation() -> None:
    units = torch.randn(4, 5)
    assert torch.equal(HalfDropout().eval()(units), units)


def test_gradient_passes_where_a_unit_was_kept() -> None:
    units = torch.ones(50, requires_grad=True)
    kept = HalfDropout().train()(units)
    kept.sum().backward()
    assert units.grad is not None
    assert torch.equal(units.grad, kept.detach())


def test_network_is_itself_again_afterwards_and_its_weights_are_float32() -> None:
    network = MLPClassifier(6)
    usual = network.dropout
    with training_in_bfloat16(network) as model:
        logits = model(torch.randn(4, 6).bfloat16())
        assert network.dropout is not usual
    assert network.dropout is usual
    assert logits.dtype == torch.float32
    assert {each.dtype for each in network.parameters()} == {torch.float32}


def test_logits_are_near_those_of_float32() -> None:
    torch.manual_seed(0)
    network = MLPClassifier(64).eval()
    features = torch.randn(200, 64)
    with training_in_bfloat16(network) as model, torch.no_grad():
        difference = model.eval()(features.bfloat16()) - network(features)
        # bfloat16 keeps 8 bits: 0.4% of each product's factors, averaging out over the sums
        assert difference.std().item() < 0.02 * network(features).std().item()
