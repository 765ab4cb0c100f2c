"""A convolution over residues with random weights: small, but an embedder in every respect."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from embedders import (
    Checkpoint,
    Choices,
    Embedder,
    EmbedderSpec,
    Family,
    Modality,
    Plugin,
    UnsupportedChoice,
    WeightsIdentity,
)
from embedders.alphabet import PROTEIN_POLICY, clean_protein
from embedders.embedder import EncoderEmbedder
from embedders.placement import choose_device, choose_dtype

WIDTH, REACH, LETTERS = 24, 7, 26

ROW = Checkpoint(
    name="acme-convolution",
    family=Family.PLUGIN,
    modality=Modality.PROTEIN,
    width=WIDTH,
    layers=1,
    heads=0,
    parameters=WIDTH * LETTERS * REACH,
    default_runtime="torch",
    other_runtimes=("reference",),  # a second way to compute the same, which audits compare with
    licence="MIT",
)


@dataclass(frozen=True)
class Convolution:
    """Takes clean proteins and averages over residues; ``EncoderEmbedder`` does all the rest."""

    weights: torch.Tensor
    alone: bool
    attention: None = None
    width: int = WIDTH
    parameters: int = ROW.parameters

    @property
    def device(self) -> torch.device:
        """Where the weights are, and the vectors will be."""
        return self.weights.device

    def pooled(self, sequences: Sequence[str], window_residues: int) -> torch.Tensor:
        """Return float32 ``(n, width)``: the mean over each sequence's first residues."""
        states = map(self._one_by_one if self.alone else self._convolved, sequences)
        return torch.stack([each[:window_residues].float().mean(dim=0) for each in states])

    def _convolved(self, residues: str) -> torch.Tensor:
        letters = F.one_hot(torch.tensor([ord(each) - ord("A") for each in residues]), LETTERS)
        signal = letters.T[None].to(self.weights)
        return F.conv1d(signal, self.weights, padding=REACH // 2)[0].relu().T

    def _one_by_one(self, residues: str) -> torch.Tensor:
        states = torch.zeros(len(residues), WIDTH).to(self.weights)
        for place in range(len(residues)):
            for step in range(REACH):
                other = place + step - REACH // 2
                if 0 <= other < len(residues):
                    states[place] += self.weights[:, ord(residues[other]) - ord("A"), step]
        return states.relu()


def build(row: Checkpoint, choices: Choices) -> Embedder:
    """Load the embedder; what it does not offer it refuses."""
    choices.refuse(row.name, "attention", "remote_code", "revision", "layers")
    kind, _, seed = (choices.weights or "random:0").partition(":")
    if kind != "random" or not (seed or "0").isdecimal():
        raise UnsupportedChoice(f"{row.name!r} has random[:SEED] weights, not {choices.weights!r}")
    device = choose_device(choices.device)
    dtype = choose_dtype(choices.dtype or "float32", device)
    generator = torch.Generator().manual_seed(int(seed or 0))
    weights = torch.randn(WIDTH, LETTERS, REACH, generator=generator)
    digest = hashlib.sha256(weights.numpy().tobytes()).hexdigest()
    spec = EmbedderSpec(
        name=row.name,
        runtime=choices.runtime,
        modality=row.modality,
        width=row.width,
        parameters=row.parameters,
        dtype=str(dtype).removeprefix("torch."),
        device=str(device),
        weights=WeightsIdentity("random", digest, seed=int(seed or 0)),
        truncation=choices.truncation,
        cleaning_policy=PROTEIN_POLICY,
        versions=(("torch", torch.__version__),),
        pads=False,
    )
    encoder = Convolution(weights.to(device, dtype), alone=choices.runtime == "reference")
    return EncoderEmbedder(spec, encoder, clean_protein)


PLUGIN = Plugin(checkpoint=ROW, build=build, contract=1)
