"""What every runtime's file offers, and what half precision must not take from it."""

from __future__ import annotations

import pytest
import torch

from embedders import RUNTIMES, UnknownName, WeightsError
from embedders.checkpoints import Architecture
from embedders.runtimes import Placement, fair_esm, huggingface, runtime
from embedders.weights import random_weights

CPU = torch.device("cpu")
ARCHITECTURE = Architecture(layers=2, width=64, heads=2)
HEAD_WIDTH = 32
PLACEMENT = Placement(CPU, torch.bfloat16)


def _exact_angles(position: int) -> torch.Tensor:
    """Angles of a position in float64, by the formula of RoFormer."""
    pairs = torch.arange(0, HEAD_WIDTH, 2, dtype=torch.float64)
    return position * 10_000.0 ** (-pairs / HEAD_WIDTH)


@pytest.mark.parametrize("name", list(RUNTIMES))
def test_an_outline_takes_no_memory(name: str) -> None:
    encoder = runtime(name).load().outline(ARCHITECTURE)
    assert encoder.device.type == "meta"
    assert encoder.width == 64


@pytest.mark.parametrize("name", list(RUNTIMES))
def test_nothing_of_a_built_model_is_left_without_memory(name: str) -> None:
    stream = random_weights(ARCHITECTURE, 0, CPU)
    encoder = runtime(name).load().build(ARCHITECTURE, stream, PLACEMENT)
    model = getattr(encoder, "model", None)
    if isinstance(model, torch.nn.Module):
        held = [*model.parameters(), *model.buffers()]
        assert all(not tensor.is_meta for tensor in held)
        assert not any(tensor.requires_grad for tensor in held)
        assert not model.training


@pytest.mark.parametrize("name", list(RUNTIMES))
def test_a_tensor_without_a_place_is_refused(name: str) -> None:
    stream = random_weights(ARCHITECTURE, 0, CPU)
    narrower = Architecture(layers=2, width=32, heads=2)
    with pytest.raises(WeightsError, match="has no place in the model"):
        runtime(name).load().build(narrower, stream, PLACEMENT)


def test_an_unknown_runtime_brings_the_nearest() -> None:
    with pytest.raises(UnknownName, match="huggingface"):
        runtime("hugging-face")


def test_transformers_turns_by_float32_tables_in_bfloat16() -> None:
    stream = random_weights(ARCHITECTURE, 0, CPU)
    model = huggingface.build(ARCHITECTURE, stream, PLACEMENT).model
    tables = model.get_submodule("rotary_embeddings")
    hidden = torch.zeros((1, 1001, 64), dtype=torch.bfloat16)
    cosine, sine = tables(hidden, torch.arange(1001)[None])
    assert cosine.dtype == sine.dtype == torch.float32
    # float32 angles near 1,000 radians are good to 6e-5
    half = HEAD_WIDTH // 2
    exact = _exact_angles(1000)
    torch.testing.assert_close(cosine[0, 1000, :half].double(), exact.cos(), atol=1e-4, rtol=0)
    torch.testing.assert_close(sine[0, 1000, half:].double(), exact.sin(), atol=1e-4, rtol=0)


def test_fair_esm_turns_by_float32_tables_in_bfloat16() -> None:
    stream = random_weights(ARCHITECTURE, 0, CPU)
    model = fair_esm.build(ARCHITECTURE, stream, PLACEMENT).model
    rotary = model.get_submodule("layers.1.self_attn.rot_emb")
    ones = torch.ones((1, 1001, HEAD_WIDTH), dtype=torch.bfloat16)
    turned, _ = rotary(ones, ones)
    assert turned.dtype == torch.bfloat16
    # (1, 1) turned by an angle: the first half holds cos - sin, to the 8 bits of the result
    exact = _exact_angles(1000)
    found = turned[0, 1000, : HEAD_WIDTH // 2].double()
    torch.testing.assert_close(found, exact.cos() - exact.sin(), atol=2**-8, rtol=2**-8)
