"""The fair-esm library as the original pipeline deploys it.

Its own model class, its own batch converter, representations of the last layer. Two things are
added: the weights may come from hub files, and half-precision models keep their rotary tables in
float32, without which the library's own code fails on mixed dtypes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from embedders import naming
from embedders.checkpoints import Architecture
from embedders.errors import UnsupportedChoice
from embedders.pooling import mean_over_residues
from embedders.runtimes.encoder import Placement, count_parameters, fill

_BatchConverter = Callable[[list[tuple[str, str]]], tuple[list[str], list[str], torch.Tensor]]


@dataclass(frozen=True, slots=True)
class FairEsmEncoder:
    """fair-esm's ``ESM2`` with its batch converter."""

    model: nn.Module
    convert: _BatchConverter
    layers: int
    parameters: int

    @property
    def width(self) -> int:
        """Length of a vector."""
        return int(self.model.get_parameter("emb_layer_norm_after.weight").shape[0])

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.model.get_parameter("emb_layer_norm_after.weight").device

    @property
    def attention(self) -> None:
        """There is one only."""

    def pooled(self, sequences: Sequence[str], window_residues: int) -> torch.Tensor:
        """Run one batch; see :class:`embedders.runtimes.encoder.Encoder`."""
        labelled = [(str(index), sequence) for index, sequence in enumerate(sequences)]
        _, _, tokens = self.convert(labelled)
        lengths = torch.tensor([len(sequence) for sequence in sequences])
        result = self.model(tokens.to(self.device), repr_layers=[self.layers])
        hidden = result["representations"][self.layers]
        return mean_over_residues(hidden, lengths, window_residues)


def build(
    architecture: Architecture,
    tensors: Iterable[tuple[str, torch.Tensor]],
    placement: Placement,
) -> FairEsmEncoder:
    """Build the library's model and fill it; see ``RuntimeModule``."""
    if placement.attention is not None:
        raise UnsupportedChoice(
            f"fair-esm has one attention of its own, so {placement.attention!r} cannot be chosen"
        )
    encoder = outline(architecture)
    fill(encoder.model, tensors, placement, naming.to_fair_esm)
    _fill_language_head(encoder.model, placement)
    for module in list(encoder.model.modules()):
        rotary = getattr(module, "rot_emb", None)
        if isinstance(rotary, nn.Module):
            module.register_module("rot_emb", _Float32Rotary(rotary))
    encoder.model.eval()
    return encoder


def outline(architecture: Architecture) -> FairEsmEncoder:
    """Build the library's model on the meta device; see ``RuntimeModule``."""
    import esm  # noqa: PLC0415 - heavy, only for this runtime
    from esm.model.esm2 import ESM2  # noqa: PLC0415

    alphabet = esm.data.Alphabet.from_architecture("ESM-1b")
    with torch.device("meta"):
        model: nn.Module = ESM2(
            num_layers=architecture.layers,
            embed_dim=architecture.width,
            attention_heads=architecture.heads,
            alphabet=alphabet,
            token_dropout=architecture.token_dropout,
        )
    # predicting contacts is never asked for; the language head runs on every call, so it stays
    model.register_module("contact_head", None)
    head = model.get_submodule("lm_head")
    # the head's projection is the token embedding itself, which counts as the encoder's
    of_head = count_parameters(head) - model.get_parameter("embed_tokens.weight").numel()
    return FairEsmEncoder(
        model=model,
        convert=alphabet.get_batch_converter(),
        layers=architecture.layers,
        parameters=count_parameters(model) - of_head,
    )


def _fill_language_head(model: nn.Module, placement: Placement) -> None:
    """Give the language head zeros: only its cost matters, its logits are thrown away."""
    head = model.get_submodule("lm_head")
    for module in head.modules():
        for name, parameter in list(module._parameters.items()):
            if parameter is not None:
                zeros = torch.zeros(parameter.shape, device=placement.device, dtype=placement.dtype)
                module._parameters[name] = nn.Parameter(zeros, requires_grad=False)
    head._parameters["weight"] = model.get_parameter("embed_tokens.weight")


class _Float32Rotary(nn.Module):
    """Turns queries and keys by float32 angles and gives them back in their own dtype."""

    def __init__(self, rotary: nn.Module) -> None:
        super().__init__()
        self.rotary = rotary

    def forward(
        self, queries: torch.Tensor, keys: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        turned_queries, turned_keys = self.rotary(queries.float(), keys.float())
        return turned_queries.to(queries.dtype), turned_keys.to(keys.dtype)
