"""Names of tensors against the two libraries' own, and values carried through both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from embedders import load
from embedders.checkpoints import Architecture
from embedders.errors import InputError
from embedders.naming import (
    FREQUENCIES,
    canonical_name,
    fair_esm_frequencies,
    from_fair_esm,
    parameter_shapes,
    rotary_frequencies,
    to_fair_esm,
)

ARCHITECTURE = Architecture(layers=6, width=320, heads=20)
SEQUENCES = ["M", "MKTAYIAKQRQISFVKSHFSRQ", "ACDEFGHIKLMNPQRSTVWYBZXUO" * 3]


def _fair_esm_model() -> Any:  # noqa: ANN401 - fair-esm has no types
    from esm.model.esm2 import ESM2  # noqa: PLC0415

    with torch.random.fork_rng():
        torch.manual_seed(2)
        model = ESM2(num_layers=6, embed_dim=320, attention_heads=20).eval()
        for parameter in model.parameters():
            if parameter.ndim == 1:
                torch.nn.init.normal_(parameter, mean=0.5, std=0.1)
    return model


def test_both_directions_undo_each_other() -> None:
    names = list(parameter_shapes(ARCHITECTURE))
    assert [from_fair_esm(to_fair_esm(name)) for name in names] == names
    assert len({to_fair_esm(name) for name in names}) == len(names)


def test_names_and_shapes_are_those_of_fair_esm() -> None:
    theirs = {
        name: tuple(tensor.shape)
        for name, tensor in _fair_esm_model().state_dict().items()
        if not name.startswith(("lm_head", "contact_head"))
    }
    ours = {to_fair_esm(name): shape for name, shape in parameter_shapes(ARCHITECTURE).items()}
    ours |= dict.fromkeys(fair_esm_frequencies(6), tuple(rotary_frequencies(ARCHITECTURE).shape))
    assert ours == theirs


def test_names_and_shapes_are_those_of_transformers(esm_folder: Path) -> None:
    stored = load_file(esm_folder / "model.safetensors")
    theirs = {
        name: tuple(tensor.shape)
        for stored_name, tensor in stored.items()
        if (name := canonical_name(stored_name)) not in (None, FREQUENCIES)
    }
    assert parameter_shapes(ARCHITECTURE) == theirs


def test_frequencies_of_a_new_model_are_those_of_fair_esm() -> None:
    theirs = _fair_esm_model().layers[0].self_attn.rot_emb.inv_freq
    assert torch.equal(rotary_frequencies(ARCHITECTURE), theirs)


@pytest.mark.parametrize(
    ("stored", "canonical"),
    [
        ("esm.embeddings.word_embeddings.weight", "embeddings.word_embeddings.weight"),
        ("encoder.layer.2.output.dense.bias", "encoder.layer.2.output.dense.bias"),
        (
            "esm.encoder.layer.4.attention.self.rotary_embeddings.inv_freq",
            "rotary_embeddings.inv_freq",
        ),
        ("esm.rotary_embeddings.inv_freq", "rotary_embeddings.inv_freq"),
        (
            "esm.encoder.layer.*.attention.self.rotary_embeddings.inv_freq",
            "rotary_embeddings.inv_freq",
        ),
        ("esm.contact_head.regression.weight", None),
        ("esm.encoder.layer.0.LayerNorm.gamma", "encoder.layer.0.LayerNorm.weight"),
        (
            "encoder.layer.0.attention.LayerNorm.beta",
            "encoder.layer.0.attention.LayerNorm.bias",
        ),
        ("lm_head.decoder.weight", None),
        ("classifier.dense.weight", None),
        ("esm.pooler.dense.bias", None),
        ("esm.embeddings.position_ids", None),
        ("esm.embeddings.position_embeddings.weight", None),
        ("esm.adapter.weight", "adapter.weight"),
    ],
)
def test_canonical_name_of_what_hub_files_hold(stored: str, canonical: str | None) -> None:
    assert canonical_name(stored) == canonical


@pytest.mark.parametrize("name", [FREQUENCIES, "lm_head.bias", "encoder.layer.0.fc1.weight", ""])
def test_a_name_that_has_no_counterpart_is_an_error(name: str) -> None:
    with pytest.raises(InputError):
        to_fair_esm(name)
    with pytest.raises(InputError):
        from_fair_esm(name)


def test_values_saved_by_transformers_come_out_of_fair_esm(esm_folder: Path) -> None:
    from transformers import EsmModel, EsmTokenizer  # noqa: PLC0415

    embedder = load("esm2-8m", weights=str(esm_folder), runtime="fair-esm", device="cpu")
    found = embedder.embed(SEQUENCES)
    model = EsmModel.from_pretrained(
        esm_folder, add_pooling_layer=False, attn_implementation="eager"
    ).eval()
    tokenizer = EsmTokenizer(str(esm_folder / "vocab.txt"))
    for row, sequence in zip(found, SEQUENCES, strict=True):
        with torch.inference_mode():
            hidden = model(**tokenizer(sequence, return_tensors="pt")).last_hidden_state
        torch.testing.assert_close(row, hidden[0, 1:-1].mean(dim=0), atol=1e-5, rtol=0)


def test_values_of_fair_esm_come_out_of_transformers(esm_folder: Path, tmp_path: Path) -> None:
    model = _fair_esm_model()
    tensors = {
        from_fair_esm(name): tensor.clone()
        for name, tensor in model.named_parameters()
        if not name.startswith(("lm_head", "contact_head"))
    }
    save_file(tensors, tmp_path / "model.safetensors")
    config = json.loads((esm_folder / "config.json").read_text(encoding="utf-8"))
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")

    embedder = load("esm2-8m", weights=str(tmp_path), runtime="huggingface", device="cpu")
    found = embedder.embed(SEQUENCES)
    convert = model.alphabet.get_batch_converter()
    for row, sequence in zip(found, SEQUENCES, strict=True):
        _, _, tokens = convert([("", sequence)])
        with torch.inference_mode():
            hidden = model(tokens, repr_layers=[6])["representations"][6]
        torch.testing.assert_close(row, hidden[0, 1:-1].mean(dim=0), atol=1e-5, rtol=0)
