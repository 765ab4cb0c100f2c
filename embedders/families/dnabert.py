"""DNABERT-S, by transformers' own classes or by the code beside its weights."""

from __future__ import annotations

from pathlib import Path

import torch

from embedders.checkpoints import Checkpoint
from embedders.choices import Choices
from embedders.contract import Embedder
from embedders.dnabert import build_dnabert
from embedders.families.adapter import Adapter, assemble, default_weights
from embedders.families.esm2 import REMOTE
from embedders.placement import choose_placement
from embedders.remote_code import ModelFolder, find_folder
from embedders.runtimes import RUNTIMES


class DnabertAdapter(Adapter):
    """Loads DNABERT-S."""

    def build(self, row: Checkpoint, choices: Choices) -> Embedder:
        """Load a checkpoint; see :meth:`Adapter.build`."""
        choices.refuse(row.name, "attention", "layers")
        how = RUNTIMES[choices.runtime]
        placement = choose_placement(how, choices.device, choices.dtype or "float32", None)
        folder = find_folder(
            row,
            default_weights(row, choices),
            remote_code=choices.remote_code,
            revision=choices.revision,
        )
        return assemble(
            row,
            choices,
            build_dnabert(folder, placement),
            runtime=how.name + REMOTE if choices.remote_code else how.name,
            placement=placement,
            identity=folder.identity(),
            distributions=how.distributions,
        )

    def tensors(
        self,
        row: Checkpoint,
        weights: str,
        *,
        device: torch.device,
        layers: int | None = None,
        revision: str | None = None,
    ) -> None:
        """Refuse what loading refuses; weights are only loaded whole."""
        del device
        Choices(row.default_runtime, layers=layers).refuse(row.name, "layers")
        find_folder(row, weights, remote_code=False, revision=revision)

    def examine(self, row: Checkpoint, folder: Path) -> None:
        """Ask that the folder describes a model; its shapes are found when it is built."""
        del row
        ModelFolder(folder, "folder", remote_code=False)


ADAPTER = DnabertAdapter()
