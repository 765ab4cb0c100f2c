"""An encoder that may be changed, and the form in which changed weights are written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from embedders import InputError, WeightsError, checkpoint, load
from embedders.checkpoints import Architecture
from embedders.files import read_architecture
from embedders.opened import (
    hub_config,
    hub_tensors,
    open_encoder,
    open_tensors,
    vocabulary_text,
)
from harness.results import to_json

ROW = checkpoint("mini-candidate")


def test_the_opened_model_computes_the_embedders_vectors() -> None:
    opened = open_encoder(ROW, device="cpu")
    sequences = ["MKTAYIAKQR", "MK"]
    with torch.no_grad():
        vectors = torch.cat([opened.encoder.pooled([each], 1024) for each in sequences])
    embedder = load("mini-candidate", runtime="huggingface", device="cpu")
    assert torch.allclose(vectors, embedder.embed(sequences), atol=1e-6)
    assert opened.identity == embedder.spec.weights
    assert not any(each.requires_grad for each in opened.encoder.model.parameters())


def test_gradients_pass_to_what_is_put_into_the_model() -> None:
    encoder = open_encoder(ROW, device="cpu").encoder
    parameter = encoder.model.get_parameter("encoder.layer.0.attention.self.value.bias")
    parameter.requires_grad_()
    encoder.pooled(["MKTAYIAKQR", "MK"], 1024).sum().backward()  # type: ignore[no-untyped-call]
    assert parameter.grad is not None
    assert parameter.grad.abs().sum() > 0


def test_what_is_written_says_what_was_opened(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(to_json(hub_config(ROW.architecture())), encoding="utf-8")
    (tmp_path / "vocab.txt").write_text(vocabulary_text(), encoding="utf-8")
    assert read_architecture(tmp_path, ROW.architecture(), ROW.name) == ROW.architecture()


def test_frequencies_are_written_for_each_layer_and_a_missing_tensor_is_named() -> None:
    architecture = Architecture(layers=2, width=8, heads=2)
    tiny = checkpoint("esm2-8m")
    held = hub_tensors(tiny.architecture(2), open_tensors(tiny, weights="random", layers=2))
    assert sum("inv_freq" in name for name in held) == 2
    assert all(tensor.dtype is torch.float32 for tensor in held.values())

    def some() -> Iterator[tuple[str, torch.Tensor]]:
        yield "embeddings.word_embeddings.weight", torch.zeros(33, 8)

    with pytest.raises(WeightsError, match=r"missing encoder\.layer\.0"):
        hub_tensors(architecture, some())
    with pytest.raises(WeightsError, match="has no place in the model"):
        hub_tensors(architecture, iter([("other.weight", torch.zeros(3))]))


def test_another_family_is_refused_before_anything_is_read() -> None:
    with pytest.raises(InputError, match="'kmer4' is no ESM-2"):
        open_encoder(checkpoint("kmer4"), device="cpu")
