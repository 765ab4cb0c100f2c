"""What is timed does the work: repeats are not faster, timed rounds give the usual vectors."""

from __future__ import annotations

import pytest
import torch

from harness.measure.honesty import timed_outputs


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_outputs_of_a_timed_round_must_be_the_usual_vectors(dtype: str) -> None:
    usual = torch.randn((6, 16), generator=torch.Generator().manual_seed(0))
    assert timed_outputs(usual.clone(), usual, arm="candidate", dtype=dtype).passed
    half_done = usual.clone()
    half_done[:, 8:] = 0
    assert not timed_outputs(half_done, usual, arm="candidate", dtype=dtype).passed
    shuffled = usual.roll(1, dims=0)
    assert not timed_outputs(shuffled, usual, arm="candidate", dtype=dtype).passed
