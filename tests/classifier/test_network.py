"""The network is the published one: layers, sizes, initialisation."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from classifier import ClassifierError, MLPClassifier
from classifier.network import Standardisation


@pytest.mark.parametrize("width", [1, 328, 2048, 3328])
def test_parameters_count_as_the_layers_of_the_paper_add_up(width: int) -> None:
    # Linear d·512 + 512, BatchNorm 2·512, Linear 512·2 + 2
    count = sum(parameter.numel() for parameter in MLPClassifier(width).parameters())
    assert count == width * 512 + 512 + 1024 + 1026


def test_forward_equals_the_layers_composed_by_hand() -> None:
    network = MLPClassifier(5).eval()
    assert network.norm.running_mean is not None
    assert network.norm.running_var is not None
    nn.init.normal_(network.norm.running_mean)
    nn.init.uniform_(network.norm.running_var, 0.5, 2.0)
    features = torch.randn(4, 5)
    hidden = features @ network.hidden.weight.T + network.hidden.bias
    normed = (hidden - network.norm.running_mean) / (network.norm.running_var + 1e-5).sqrt()
    expected = normed.clamp(min=0) @ network.output.weight.T + network.output.bias
    torch.testing.assert_close(network(features), expected)


def test_dropout_is_one_half() -> None:
    assert MLPClassifier(3).dropout.p == 0.5


def test_weights_start_within_the_xavier_uniform_bound() -> None:
    network = MLPClassifier(100)
    for layer, fans in ((network.hidden, 100 + 512), (network.output, 512 + 2)):
        bound = (6 / fans) ** 0.5
        assert float(layer.weight.detach().abs().max()) <= bound
        # a uniform distribution on ±bound has standard deviation bound / √3
        assert float(layer.weight.detach().std()) == pytest.approx(bound / 3**0.5, rel=0.1)


def test_no_columns_are_refused() -> None:
    with pytest.raises(ClassifierError, match="at least 1 column"):
        MLPClassifier(0)


def test_standardisation_of_two_widths_is_refused() -> None:
    with pytest.raises(ClassifierError, match="one width"):
        Standardisation(torch.zeros(2), torch.ones(3))
