"""ESM-2 and what has its shape: on any runtime, or by the code beside the weights."""

from __future__ import annotations

import math
from pathlib import Path

import torch

from embedders import naming
from embedders.arithmetic import Arithmetic
from embedders.checkpoints import Checkpoint
from embedders.choices import Choices
from embedders.contract import Embedder
from embedders.errors import UnsupportedChoice
from embedders.families.adapter import Adapter, Outline, assemble, default_weights
from embedders.files import read_architecture
from embedders.placement import choose_placement
from embedders.remote_code import build_model, find_folder
from embedders.runtimes import RUNTIMES, Placement
from embedders.runtimes.huggingface import wrap
from embedders.weights import TensorStream, open_weights

_HUGGINGFACE = "huggingface"
REMOTE = "+remote-code"
"""Follows the runtime's name in the spec when code beside the weights was run."""


class Esm2Adapter(Adapter):
    """Loads ESM-2 checkpoints on the runtimes of :mod:`embedders.runtimes`."""

    def build(self, row: Checkpoint, choices: Choices) -> Embedder:
        """Load a checkpoint; see :meth:`Adapter.build`."""
        how = RUNTIMES[choices.runtime]
        placement = choose_placement(
            how, choices.device, choices.dtype or "float32", choices.attention
        )
        if choices.remote_code:
            return _by_its_own_code(row, choices, placement)
        stream = self.tensors(
            row,
            default_weights(row, choices),
            device=placement.device,
            layers=choices.layers,
            revision=choices.revision,
        )
        return assemble(
            row,
            choices,
            how.load().build(stream.architecture, stream, placement),
            runtime=how.name,
            placement=placement,
            identity=stream.identity(),
            distributions=how.distributions,
            pads=how.pads,
        )

    def outline(self, row: Checkpoint, runtime: str) -> Outline:
        """Build the full-size model on the meta device and read width and parameters off it."""
        encoder = RUNTIMES[runtime].load().outline(row.architecture())
        return Outline(row.name, runtime, encoder.width, encoder.parameters)

    def parameters(self, row: Checkpoint, layers: int | None) -> int:
        """Add up the shapes of an encoder's tensors."""
        shapes = naming.parameter_shapes(row.architecture(layers))
        return sum(math.prod(shape) for shape in shapes.values())

    def arithmetic(self, row: Checkpoint, layers: int | None) -> Arithmetic:
        """Return the encoder's architecture."""
        return row.architecture(layers)

    def tensors(
        self,
        row: Checkpoint,
        weights: str,
        *,
        device: torch.device,
        layers: int | None = None,
        revision: str | None = None,
    ) -> TensorStream:
        """Open weights without building a model."""
        return open_weights(row, weights, device=device, layers=layers, revision=revision)

    def examine(self, row: Checkpoint, folder: Path) -> None:
        """Hold ``config.json`` and ``vocab.txt`` against the row."""
        read_architecture(folder, row.architecture(), row.name)


def _by_its_own_code(row: Checkpoint, choices: Choices, placement: Placement) -> Embedder:
    choices.refuse(row.name, "layers")
    if choices.runtime != _HUGGINGFACE:
        raise UnsupportedChoice(
            f"remote code goes with runtime {_HUGGINGFACE!r}, not {choices.runtime!r}"
        )
    folder = find_folder(
        row, default_weights(row, choices), remote_code=True, revision=choices.revision
    )
    return assemble(
        row,
        choices,
        wrap(build_model(folder, placement), placement),
        runtime=choices.runtime + REMOTE,
        placement=placement,
        identity=folder.identity(),
        distributions=RUNTIMES[choices.runtime].distributions,
    )


ADAPTER = Esm2Adapter()
