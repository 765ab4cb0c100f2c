"""Adapters in an encoder, by peft; nothing else here knows peft."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from embedders.checkpoints import Checkpoint
from embedders.opened import OpenedEncoder
from harness.tuning.errors import TuningError
from harness.tuning.recipe import TuningRecipe

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
"""What peft writes and reads."""


class Adapter:
    """Low-rank matrices beside the weights of an encoder, which they leave as they are.

    Made before an optimiser takes the parameters; initial values come from torch's global
    generator. At first the encoder computes what it did before, because ``B`` is zero.

    Raises
    ------
    TuningError
        If peft is not installed.
    """

    def __init__(self, opened: OpenedEncoder, row: Checkpoint, recipe: TuningRecipe) -> None:
        peft = _peft()
        config = peft.LoraConfig(
            task_type="FEATURE_EXTRACTION",
            r=recipe.rank,
            lora_alpha=recipe.alpha,
            lora_dropout=recipe.dropout,
            target_modules=recipe.modules(),
            bias="none",
        )
        with warnings.catch_warnings():
            # peft 0.21 asks transformers 5 by the old name
            warnings.filterwarnings("ignore", ".*is_gradient_checkpointing", FutureWarning)
            # the modules are replaced within the model, through which the encoder computes
            self._wrapped = peft.get_peft_model(opened.encoder.model, config)
        # for whoever loads the adapter elsewhere; here peft would look for it in the model
        config.base_model_name_or_path = row.hub_id or row.name
        self._layer = peft.tuners.lora.LoraLayer

    def parameters(self) -> dict[str, torch.nn.Parameter]:
        """Return what is learnt, by name; float32."""
        named: Iterable[tuple[str, torch.nn.Parameter]] = self._wrapped.named_parameters()
        return {name: parameter for name, parameter in named if parameter.requires_grad}

    def changed(
        self, tensors: Iterable[tuple[str, torch.Tensor]]
    ) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield canonical tensors with what was learnt added to them, in float32.

        Parameters
        ----------
        tensors
            The weights that the encoder was opened with, as they are stored: whatever dtype it
            was trained in, what is added to was never rounded to it.
        """
        adapted = {
            f"{path}.weight": module
            for path, module in self._wrapped.get_base_model().named_modules()
            if isinstance(module, self._layer)
        }
        for name, tensor in tensors:
            if name in adapted:
                change = adapted[name].get_delta_weight("default").detach()
                yield name, tensor.float() + change.to(tensor.device, torch.float32)
            else:
                yield name, tensor

    def save(self, folder: Path) -> None:
        """Write peft's own two files into a folder that is there."""
        self._wrapped.save_pretrained(str(folder), save_embedding_layers=False)
        (folder / "README.md").unlink()  # a form of a model card that nobody has filled in


def check_peft() -> None:
    """Refuse to begin what peft would be missed for later.

    Raises
    ------
    TuningError
        If peft is not installed.
    """
    if find_spec("peft") is None:
        raise TuningError(
            "fine-tuning needs peft, which is not installed: pip install 'embedder-migration[lora]'"
        )


def _peft() -> Any:  # noqa: ANN401 - peft carries no types
    check_peft()
    import peft  # noqa: PLC0415 - an extra, and heavy
    import peft.tuners.lora  # noqa: PLC0415

    return peft
