"""The mean over residues against a plain loop in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from embedders.pooling import mean_over_residues

LENGTHS = [1, 5, 9, 12]


def _hidden(dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn((len(LENGTHS), 14, 8), generator=generator).to(dtype)


@pytest.mark.parametrize("window", [1, 6, 1024])
def test_mean_takes_the_first_residues_and_nothing_else(window: int) -> None:
    hidden = _hidden()
    pooled = mean_over_residues(hidden, torch.tensor(LENGTHS), window).numpy()
    for row, length in enumerate(LENGTHS):
        states = hidden[row].double().numpy()
        expected = np.mean([states[1 + place] for place in range(min(length, window))], axis=0)
        np.testing.assert_allclose(pooled[row], expected, atol=1e-6)


def test_what_stands_in_the_padding_has_no_influence() -> None:
    hidden, lengths = _hidden(), torch.tensor(LENGTHS)
    before = mean_over_residues(hidden, lengths, 1024)
    for row, length in enumerate(LENGTHS):
        hidden[row, 0] = float("inf")
        hidden[row, length + 1 :] = float("nan")
    assert torch.equal(mean_over_residues(hidden, lengths, 1024), before)


def test_half_precision_states_are_summed_in_float32() -> None:
    # 4,096 ones and one 2^-3: bfloat16 has 8 bits and would lose the small one
    hidden = torch.ones((1, 4099, 1), dtype=torch.bfloat16)
    hidden[0, 1] = 0.125
    pooled = mean_over_residues(hidden, torch.tensor([4097]), 5000)
    assert pooled.dtype == torch.float32
    assert pooled.item() == pytest.approx(4096.125 / 4097, abs=1e-7)
