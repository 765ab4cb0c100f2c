"""What the package asks of a family of checkpoints, and what families share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch

from embedders.alphabet import (
    NUCLEOTIDE_POLICY,
    PROTEIN_POLICY,
    clean_nucleotide,
    clean_protein,
)
from embedders.arithmetic import Arithmetic
from embedders.checkpoints import Checkpoint
from embedders.choices import Choices
from embedders.contract import (
    WHOLE_SEQUENCE,
    WINDOW_RESIDUES,
    Embedder,
    EmbedderSpec,
    Modality,
    WeightsIdentity,
)
from embedders.embedder import EncoderEmbedder
from embedders.errors import InputError
from embedders.runtimes.encoder import Encoder, Placement
from embedders.tensors import CheckedTensors


@dataclass(frozen=True, slots=True)
class Outline:
    """What an embedder would be, found without loading any weight."""

    name: str
    runtime: str
    width: int
    parameters: int


class Adapter(ABC):
    """Loads the checkpoints of one family; what a family does not have stays as it is here."""

    @abstractmethod
    def build(self, row: Checkpoint, choices: Choices) -> Embedder:
        """Load a checkpoint.

        Raises
        ------
        UnsupportedChoice
            If choices do not go together.
        WeightsError
            If the weights cannot be found or do not fit.
        """

    def outline(self, row: Checkpoint, runtime: str) -> Outline:
        """Return the full-size embedder's width and parameters, from the row unless overridden."""
        return Outline(row.name, runtime, row.width, row.parameters)

    def parameters(self, row: Checkpoint, layers: int | None) -> int:
        """Return how many numbers an encoder has learnt; depth cannot be cut unless overridden."""
        del layers
        return row.parameters

    def arithmetic(self, row: Checkpoint, layers: int | None) -> Arithmetic | None:
        """Return what an encoder multiplies, with another depth if given; None if not known."""
        del row, layers
        return None

    def tensors(
        self,
        row: Checkpoint,
        weights: str,
        *,
        device: torch.device,
        layers: int | None = None,
        revision: str | None = None,
    ) -> CheckedTensors | None:
        """Open weights without building a model; None for a family that only loads them whole."""
        del row, weights, device, layers, revision
        return None

    def examine(self, row: Checkpoint, folder: Path) -> None:
        """Hold a folder's description against the row.

        Raises
        ------
        WeightsError
            If the folder does not hold this checkpoint.
        """
        del row, folder


def default_weights(row: Checkpoint, choices: Choices) -> str:
    """Return the weights that were asked for, else the bundled ones, else the hub's."""
    return row.default_weights if choices.weights is None else choices.weights


def assemble(
    row: Checkpoint,
    choices: Choices,
    encoder: Encoder,
    *,
    runtime: str,
    placement: Placement,
    identity: WeightsIdentity,
    distributions: Iterable[str],
    pads: bool = True,
) -> EncoderEmbedder:
    """Put cleaning, window, batches and order around an encoder, and write down what it is.

    Raises
    ------
    InputError
        If a protein encoder is of another width than its row.
    """
    protein = row.modality is Modality.PROTEIN
    if protein and encoder.width != row.width:
        raise InputError(f"{row.name} gave width {encoder.width}, its row says {row.width}")
    spec = EmbedderSpec(
        name=row.name,
        runtime=runtime,
        modality=row.modality,
        width=encoder.width,
        parameters=encoder.parameters,
        dtype=str(placement.dtype).removeprefix("torch."),
        device=str(placement.device),
        weights=identity,
        truncation=choices.truncation,
        window_residues=WINDOW_RESIDUES if protein else WHOLE_SEQUENCE,
        cleaning_policy=PROTEIN_POLICY if protein else NUCLEOTIDE_POLICY,
        versions=tuple((name, version(name)) for name in distributions),
        attention=encoder.attention,
        pads=pads,
    )
    return EncoderEmbedder(spec, encoder, clean_protein if protein else clean_nucleotide)
