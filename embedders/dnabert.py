"""DNABERT-S: one vector per nucleotide sequence.

Pooling is that of its authors' example, ``torch.mean(hidden_states[0], dim=0)`` over one
sequence: the mean of **all** its tokens, ``[CLS]`` and ``[SEP]`` included. Padding, which their
example does not have, is left out here, so that a vector does not depend on its batch.

DNABERT-S is no plain BERT (ALiBi, gated feed-forward): transformers has no class for it, and its
weights need the code that comes with them. A folder with a plain BERT loads without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from embedders.errors import RejectedSequence, WeightsError
from embedders.remote_code import ModelFolder, build_model
from embedders.runtimes.encoder import Placement, count_parameters

_TOKENIZER_FILES = ("tokenizer.json", "vocab.txt")


@dataclass(frozen=True, slots=True)
class DnabertEncoder:
    """A BERT over byte-pair tokens of nucleotides; satisfies ``Encoder``."""

    model: nn.Module
    tokenizer: Any  # transformers' tokenizers have no types
    width: int
    parameters: int
    device: torch.device
    longest_tokens: int | None
    attention: str | None = None

    def pooled(self, sequences: Sequence[str], window_residues: int) -> torch.Tensor:
        """Run one batch and average all tokens of each sequence.

        ``window_residues`` has no effect: a byte-pair token stands for several nucleotides.

        Returns
        -------
        torch.Tensor
            float32 ``(n, width)`` on the model's device.

        Raises
        ------
        RejectedSequence
            If a sequence has more tokens than the model has positions.
        """
        del window_residues
        block = self.tokenizer(list(sequences), padding=True, return_tensors="pt")
        mask: torch.Tensor = block["attention_mask"].to(self.device)
        if self.longest_tokens is not None and mask.shape[1] > self.longest_tokens:
            raise RejectedSequence(
                f"{mask.shape[1]} tokens, but the model has {self.longest_tokens} positions"
            )
        hidden: torch.Tensor = self.model(block["input_ids"].to(self.device), attention_mask=mask)[
            0
        ]
        outside = (mask == 0)[:, :, None]
        summed = hidden.float().masked_fill(outside, 0.0).sum(dim=1)
        return summed / mask.sum(dim=1, keepdim=True).float()


def build_dnabert(folder: ModelFolder, placement: Placement) -> DnabertEncoder:
    """Build the encoder and its tokenizer from a folder.

    Raises
    ------
    WeightsError
        If the folder has no tokenizer, or does not fill the model.
    """
    from transformers import AutoTokenizer  # noqa: PLC0415 - heavy, only here

    if not any((folder.path / name).is_file() for name in _TOKENIZER_FILES):
        # transformers would make an empty tokenizer, for which every nucleotide is unknown
        raise WeightsError(f"{folder.path} has no {' or '.join(_TOKENIZER_FILES)}")
    model = build_model(folder, placement)
    # the pooling head is never used
    if "pooler" in model._modules:
        model.register_module("pooler", None)
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            str(folder.path), trust_remote_code=folder.remote_code, local_files_only=True
        )
    except (OSError, ValueError, KeyError) as error:
        first_line = str(error).partition("\n")[0]
        raise WeightsError(f"{folder.path} has no usable tokenizer: {first_line}") from None
    positions = model.get_submodule("embeddings")._modules.get("position_embeddings")
    return DnabertEncoder(
        model=model,
        tokenizer=tokenizer,
        width=model.get_submodule("embeddings").get_parameter("word_embeddings.weight").shape[1],
        parameters=count_parameters(model),
        device=placement.device,
        longest_tokens=positions.num_embeddings if isinstance(positions, nn.Embedding) else None,
    )
