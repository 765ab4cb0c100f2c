"""fair-esm's own model with a hub folder's weights; nothing of the package is used."""

from __future__ import annotations

import json
import re
from pathlib import Path

import torch
from torch import nn

_LAYER = r"^esm\.encoder\.layer\.(\d+)\."
_RULES = (
    (r"^esm\.embeddings\.word_embeddings\.", "embed_tokens."),
    (r"^esm\.encoder\.emb_layer_norm_after\.", "emb_layer_norm_after."),
    (r"^esm\.contact_head\.", "contact_head."),
    (_LAYER + r"attention\.self\.rotary_embeddings\.", r"layers.\1.self_attn.rot_emb."),
    (_LAYER + r"attention\.self\.(q|k|v)[a-z]+\.", r"layers.\1.self_attn.\2_proj."),
    (_LAYER + r"attention\.output\.dense\.", r"layers.\1.self_attn.out_proj."),
    (_LAYER + r"attention\.LayerNorm\.", r"layers.\1.self_attn_layer_norm."),
    (_LAYER + r"intermediate\.dense\.", r"layers.\1.fc1."),
    (_LAYER + r"output\.dense\.", r"layers.\1.fc2."),
    (_LAYER + r"LayerNorm\.", r"layers.\1.final_layer_norm."),
)


def fair_esm_model(folder: Path) -> nn.Module:
    """Build fair-esm's class and fill it by renaming the file's tensors."""
    from esm.model.esm2 import ESM2  # noqa: PLC0415 - heavy

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    model: nn.Module = ESM2(
        num_layers=config["num_hidden_layers"],
        embed_dim=config["hidden_size"],
        attention_heads=config["num_attention_heads"],
        token_dropout=config["token_dropout"],
    )
    stored = torch.load(folder / "pytorch_model.bin", weights_only=True)
    renamed = {}
    for name, tensor in stored.items():
        new = name
        for pattern, replacement in _RULES:
            new = re.sub(pattern, replacement, new)
        if new != name:
            renamed[new] = tensor
    absent, unexpected = model.load_state_dict(renamed, strict=False)
    assert not unexpected
    assert all(name.startswith("lm_head.") for name in absent)
    return model.eval()
