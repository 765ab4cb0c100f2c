"""The two small ESM-2-shaped models: architecture, tokens, mean embeddings, and files on disk."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import EsmConfig, EsmForMaskedLM

# ESM-2's own vocabulary in its own order, so that ids mean the same as in the published models.
VOCABULARY = (
    *("<cls>", "<pad>", "<eos>", "<unk>"),
    *"LAGVSERTIDPKQNFYMHWCXBUZO.-",
    *("<null_1>", "<mask>"),
)
CLS, PAD, EOS, MASK = 0, 1, 2, 32
FIRST_AMINO_ACID, LAST_AMINO_ACID = 4, 23  # the twenty standard ones, L to C
_TOKEN_OF = {token: number for number, token in enumerate(VOCABULARY)}


@dataclass(frozen=True, slots=True)
class Architecture:
    """Shape of one model; the feed-forward part is four times as wide as the model."""

    name: str
    width: int
    layers: int
    heads: int

    def config(self) -> dict[str, Any]:
        """Return the model's configuration in the form of the published ESM-2 models."""
        return {
            "architectures": ["EsmForMaskedLM"],
            "attention_probs_dropout_prob": 0.0,
            "classifier_dropout": None,
            "emb_layer_norm_before": False,
            "esmfold_config": None,
            "hidden_act": "gelu",
            "hidden_dropout_prob": 0.0,
            "hidden_size": self.width,
            "initializer_range": 0.02,
            "intermediate_size": 4 * self.width,
            "is_folding_model": False,
            "layer_norm_eps": 1e-05,
            "mask_token_id": MASK,
            "max_position_embeddings": 1026,
            "model_type": "esm",
            "num_attention_heads": self.heads,
            "num_hidden_layers": self.layers,
            "pad_token_id": PAD,
            "position_embedding_type": "rotary",
            "token_dropout": True,
            # What to compute in. The file holds float16 for size, which a CPU must not compute in.
            "torch_dtype": "float32",
            "use_cache": True,
            "vocab_list": None,
            "vocab_size": len(VOCABULARY),
        }


ARCHITECTURES = {
    architecture.name: architecture
    for architecture in (
        Architecture("mini-baseline", width=192, layers=4, heads=6),
        Architecture("mini-candidate", width=96, layers=4, heads=3),
    )
}


def build(architecture: Architecture, seed: int) -> nn.Module:
    """Return an `EsmForMaskedLM` with seeded random weights, float32 on the CPU."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: nn.Module = EsmForMaskedLM(EsmConfig.from_dict(architecture.config()))
    return model


def tokens(sequence: str) -> list[int]:
    """Return the token ids of the residues, without CLS and EOS. Raises KeyError on others."""
    return [_TOKEN_OF[residue] for residue in sequence]


def padded(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Return ids and attention mask, both int64 `(n, longest + 2)`, with CLS and EOS put on."""
    longest = max(len(row) for row in rows) + 2
    ids = torch.full((len(rows), longest), PAD)
    for i, row in enumerate(rows):
        ids[i, : len(row) + 2] = torch.tensor([CLS, *row, EOS])
    return ids, (ids != PAD).long()


def residue_mask(ids: Tensor) -> Tensor:
    """Return True where a token is a residue (or a masked one): not CLS, EOS or padding."""
    return (ids != CLS) & (ids != PAD) & (ids != EOS)


def mean_over(hidden: Tensor, kept: Tensor) -> Tensor:
    """Return `(n, width)`: the mean of `hidden` `(n, tokens, width)` where `kept` is True."""
    weights = kept.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1)


def mean_embeddings(
    encoder: nn.Module, sequences: Sequence[str], residues: int = 1024, batch_tokens: int = 8192
) -> Tensor:
    """Return float32 `(n, width)` in input order: the mean over the first `residues` residues."""
    rows = [tokens(sequence[:residues]) for sequence in sequences]
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    means: dict[int, Tensor] = {}
    batch: list[int] = []
    with torch.inference_mode():
        for position, i in enumerate(order):
            batch.append(i)
            following = order[position + 1] if position + 1 < len(order) else None
            if following is not None:
                cost = (len(rows[following]) + 2) * (len(batch) + 1)
                if cost <= batch_tokens:
                    continue
            ids, mask = padded([rows[j] for j in batch])
            hidden = encoder(input_ids=ids, attention_mask=mask).last_hidden_state.float()
            means.update(zip(batch, mean_over(hidden, residue_mask(ids)), strict=True))
            batch = []
    return torch.stack([means[i] for i in range(len(rows))])


def save(model: nn.Module, architecture: Architecture, folder: Path) -> None:
    """Write the model as a folder laid out like the hub's, tensors in float16.

    Left out is the output matrix, which is the token embedding again, and buffers, which follow
    from the configuration.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parameters = dict(model.named_parameters())
    halves = {
        name: parameter.detach().to(torch.float16).contiguous()
        for name, parameter in sorted(parameters.items())
        if name != "lm_head.decoder.weight"
    }
    save_file(halves, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)
    text = json.dumps(architecture.config(), indent=2, sort_keys=True) + "\n"
    (folder / "config.json").write_text(text, encoding="utf-8")
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
