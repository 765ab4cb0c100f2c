"""What a runtime offers: clean strings in, pooled vectors on its device out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn

from embedders import naming
from embedders.checkpoints import Architecture
from embedders.errors import WeightsError


class Encoder(Protocol):
    """A loaded model. It receives strings without padding and may pad them or not."""

    @property
    def width(self) -> int:
        """Length of a vector, read off the model."""
        ...

    @property
    def parameters(self) -> int:
        """Learnt numbers of the encoder, without task heads."""
        ...

    @property
    def device(self) -> torch.device:
        """Where the model is and where results appear."""
        ...

    @property
    def attention(self) -> str | None:
        """The implementation of attention that was taken; None for a runtime without a choice."""
        ...

    def pooled(self, sequences: Sequence[str], window_residues: int) -> torch.Tensor:
        """Run one batch and average each sequence over its first residues.

        Parameters
        ----------
        sequences
            At least one; clean, never empty, as long as they shall enter the model.
        window_residues
            At most so many residues of each are pooled.

        Returns
        -------
        torch.Tensor
            float32 ``(n, width)`` on :attr:`device`, rows in the order given.
        """
        ...


@dataclass(frozen=True, slots=True)
class Placement:
    """Where and how a model computes. ``attention`` is ``None`` for the runtime's own choice."""

    device: torch.device
    dtype: torch.dtype
    attention: str | None = None


class RuntimeModule(Protocol):
    """The two functions that a runtime's file offers."""

    def build(
        self,
        architecture: Architecture,
        tensors: Iterable[tuple[str, torch.Tensor]],
        placement: Placement,
    ) -> Encoder:
        """Build an encoder from canonical tensors, taken one by one.

        Raises
        ------
        UnsupportedChoice
            If the placement is not possible here.
        WeightsError
            If a tensor has no place in the model.
        """
        ...

    def outline(self, architecture: Architecture) -> Encoder:
        """Build the full-size encoder on the meta device: shapes without memory."""
        ...


def fill(
    model: nn.Module,
    tensors: Iterable[tuple[str, torch.Tensor]],
    placement: Placement,
    rename: Callable[[str], str],
) -> None:
    """Put canonical tensors into a model built on the meta device.

    Each tensor is converted and copied to its device before the next is taken, so that at most
    one of them is there twice. Rotary frequencies stay float32 whatever the model's dtype: half
    precision cannot hold the angles of distant residues.

    Raises
    ------
    WeightsError
        If a tensor fits no parameter.
    """
    for name, tensor in tensors:
        if name == naming.FREQUENCIES:
            frequencies = tensor.to(placement.device, torch.float32, copy=True)
            for module in model.modules():
                if "inv_freq" in module._buffers:
                    module._buffers["inv_freq"] = frequencies
            continue
        path, _, leaf = rename(name).rpartition(".")
        module = model.get_submodule(path)
        empty = module._parameters.get(leaf)
        if empty is None or empty.shape != tensor.shape:
            raise WeightsError(f"{name} {tuple(tensor.shape)} has no place in the model")
        moved = tensor.to(placement.device, placement.dtype, copy=True)
        module._parameters[leaf] = nn.Parameter(moved, requires_grad=False)


def count_parameters(model: nn.Module) -> int:
    """Learnt numbers of a model, each shared tensor once."""
    return sum(parameter.numel() for parameter in model.parameters())
