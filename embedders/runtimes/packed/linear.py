"""Linear layers with what follows them: as PyTorch has them, or fused by oneDNN on a CPU."""

from __future__ import annotations

from typing import Protocol

import torch
from torch.nn import functional as F

_EXPECTED_TOKENS = 2048
"""Rows that oneDNN chooses the layout of a weight for; other numbers are as right, and as fast."""


class Linear(Protocol):
    """``weight · x + bias``, and the two ways in which an encoder goes on from there."""

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(t, in)`` to ``(t, out)``."""
        ...

    def gelu(self, x: torch.Tensor) -> torch.Tensor:
        """Map, then apply GELU in its exact form (with the error function), as ESM-2 does."""
        ...

    def add(self, x: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        """Map, then add ``residual`` ``(t, out)``."""
        ...


class PlainLinear:
    """PyTorch's own linear layer."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        self.weight = weight
        self.bias = bias

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Map."""
        return F.linear(x, self.weight, self.bias)

    def gelu(self, x: torch.Tensor) -> torch.Tensor:
        """Map, then GELU."""
        return F.gelu(self(x))

    def add(self, x: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        """Map, then add."""
        return residual + self(x)


class OneDnnLinear:
    """The same with the weight laid out for oneDNN once, and what follows done in its epilogue.

    These are the operators that torch.compile itself calls on a CPU.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight, _EXPECTED_TOKENS)
        self.bias = bias

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Map."""
        found: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            x, self.weight, self.bias, "none", [], ""
        )
        return found

    def gelu(self, x: torch.Tensor) -> torch.Tensor:
        """Map, then GELU."""
        # the algorithm "none" is the exact form; the other one is "tanh"
        found: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            x, self.weight, self.bias, "gelu", [], "none"
        )
        return found

    def add(self, x: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        """Map, then add."""
        found: torch.Tensor = torch.ops.mkldnn._linear_pointwise.binary(
            x, residual, self.weight, self.bias, "add"
        )
        return found


def linear_kind(device: torch.device, dtype: torch.dtype) -> type[PlainLinear | OneDnnLinear]:
    """Return the faster class that this device, this dtype and this build of torch have.

    float32 stays with PyTorch's own: oneDNN sums a row in one chain and so errs up to four times
    as much, which for short proteins is more than the runtimes may differ by.
    """
    operators = torch.ops.mkldnn
    fused = (
        device.type == "cpu"
        and dtype is torch.bfloat16
        and hasattr(operators, "_linear_pointwise")
        and bool(operators._is_mkldnn_bf16_supported())
    )
    return OneDnnLinear if fused else PlainLinear
