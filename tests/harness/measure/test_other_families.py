"""FLOPs of encoders that are no ESM-2, against torch's own count of what they compute."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from embedders import CHECKPOINTS, arithmetic_of
from embedders.families import adapter_of
from harness.measure import bytes_moved, useful_flops
from tests.embedders.tiny import ROWS, load_tiny


@pytest.mark.parametrize("residues", [1, 40])
@pytest.mark.parametrize("family", list(ROWS))
def test_useful_flops_are_those_that_torch_counts(family: str, residues: int) -> None:
    embedder: Any = load_tiny(family, attention="eager")
    arithmetic = adapter_of(ROWS[family]).arithmetic(ROWS[family], None)
    assert arithmetic is not None
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        embedder.encoder.pooled(["M" * residues], 1024)
    assert useful_flops(arithmetic, [residues]) == counter.get_total_flops()


@pytest.mark.parametrize(
    ("name", "layers"), [("esmc-300m", 30), ("esmc-600m", 36), ("prott5-xl", 24)]
)
def test_weights_in_the_layers_are_nearly_all_parameters(name: str, layers: int) -> None:
    # what is left over are token embedding, norms and position bias: below 0.1%
    arithmetic = arithmetic_of(name)
    assert arithmetic is not None
    assert arithmetic.layers == layers
    parameters = CHECKPOINTS[name].parameters
    assert 0 <= parameters - layers * arithmetic.layer_weights < 0.001 * parameters


@pytest.mark.parametrize("family", list(ROWS))
def test_depth_scales_both_flops_and_bytes(family: str) -> None:
    adapter, row = adapter_of(ROWS[family]), ROWS[family]
    one, three = adapter.arithmetic(row, 1), adapter.arithmetic(row, 3)
    assert one is not None
    assert three is not None
    assert useful_flops(three, [5, 9]) == 3 * useful_flops(one, [5, 9])
    assert bytes_moved(three, [[5, 9]], "float32") == 3 * bytes_moved(one, [[5, 9]], "float32")


def test_nothing_is_known_of_k_mers() -> None:
    assert arithmetic_of("kmer4") is None
