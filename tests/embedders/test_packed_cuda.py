"""The unpadded runtime on a GPU: right, independent of the batch, and without waiting."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
import torch

from embedders import load
from embedders.embedder import EncoderEmbedder

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA: packed not tried on it"),
]

LETTERS = "MKTAYIAKQRQISFVKSHFSRQBZXUOLEERLGLIEVQ"
SEQUENCES = [(LETTERS * 30)[:length] for length in (30, 4, 350, 11, 1100, 57, 30)]
random_weights = partial(load, weights="random:7", layers=3)
SMALLEST_COSINE = {"float32": 0.999999, "bfloat16": 0.999, "float16": 0.9999}


@pytest.fixture
def warm() -> Iterator[EncoderEmbedder]:
    """An embedder that has run once; from then on PyTorch raises if anything waits for the GPU."""
    embedder = _load("esm2-8m", "bfloat16")
    embedder.embed(SEQUENCES)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    yield embedder
    torch.cuda.set_sync_debug_mode("default")


def _load(name: str, dtype: str, attention: str | None = None) -> EncoderEmbedder:
    found = random_weights(name, runtime="packed", device="cuda", dtype=dtype, attention=attention)
    assert isinstance(found, EncoderEmbedder)
    return found


@pytest.mark.parametrize("name", ["esm2-8m", "esm2-35m", "fastesm2-650"])
@pytest.mark.parametrize("dtype", list(SMALLEST_COSINE))
@pytest.mark.parametrize("attention", [None, "sdpa"])
def test_vectors_are_those_of_transformers_on_the_cpu(
    name: str, dtype: str, attention: str | None
) -> None:
    expected = random_weights(name, runtime="huggingface", device="cpu").embed(SEQUENCES)
    found = _load(name, dtype, attention).embed(SEQUENCES)
    cosine = torch.cosine_similarity(found.double(), expected.double())
    assert cosine.min() >= SMALLEST_COSINE[dtype]


def test_the_variable_length_kernel_is_taken_in_half_precision() -> None:
    assert _load("esm2-8m", "bfloat16").spec.attention == "varlen"
    assert _load("esm2-8m", "float32").spec.attention == "sdpa"


def test_attention_does_not_depend_on_batch_mates_to_the_bit() -> None:
    embedder = _load("esm2-8m", "bfloat16")
    together = embedder.embed(SEQUENCES)
    assert torch.equal(together, _load("esm2-8m", "bfloat16").embed(SEQUENCES))
    alone = torch.cat([embedder.embed([each]) for each in SEQUENCES])
    assert torch.cosine_similarity(together.double(), alone.double()).min() >= 0.9999


def test_a_batch_is_given_to_the_device_without_waiting_for_it(warm: EncoderEmbedder) -> None:
    with torch.inference_mode():
        warm.encoder.pooled(SEQUENCES, 1024)
