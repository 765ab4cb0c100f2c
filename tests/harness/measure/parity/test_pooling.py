"""BOS and EOS in a mean are found, in whatever rounding."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.measure.parity.agreement import WORST
from harness.measure.parity.pooling import end_tokens_share


def draw(rows: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    means = torch.randn((rows, 12), generator=generator, dtype=torch.float64)
    return means, means + 0.01 * torch.randn((rows, 12), generator=generator, dtype=torch.float64)


@given(st.floats(-2, 2), st.integers(1, 9), st.integers(0, 99))
def test_the_share_is_the_one_that_was_mixed_in(share: float, rows: int, seed: int) -> None:
    means, every = draw(rows, seed)
    assert end_tokens_share(means + share * (every - means), means, every) == pytest.approx(
        share, abs=1e-6
    )


def test_nan_and_nothing_to_tell_apart_are_no_share() -> None:
    means, every = draw(3, 0)
    assert end_tokens_share(means * float("nan"), means, every) == WORST
    assert end_tokens_share(means, means, means) == 0
