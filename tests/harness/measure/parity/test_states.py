"""What is heard of an encoder is what the libraries themselves give out."""

from __future__ import annotations

import pytest
import torch

from embedders import RUNTIMES
from harness.measure.parity.states import encoder_of, trace
from tests.harness.measure.parity.conftest import Loader

TEXT = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ"
LAYERS = 4


def library_states(loader: Loader) -> dict[int, torch.Tensor]:
    """fair-esm's own ``repr_layers``: behind each layer, the last of them behind the norm."""
    import esm  # noqa: PLC0415

    model = encoder_of(loader("fair-esm")).model  # type: ignore[attr-defined]
    convert = esm.data.Alphabet.from_architecture("ESM-1b").get_batch_converter()
    _, _, tokens = convert([("x", TEXT)])
    with torch.inference_mode():
        found = model(tokens, repr_layers=list(range(LAYERS + 1)))["representations"]
    return {layer: states[0] for layer, states in found.items()}


@pytest.mark.parametrize("window", [1024, 10])
@pytest.mark.parametrize("runtime", list(RUNTIMES))
def test_layers_are_those_of_the_library_in_every_runtime(
    loader: Loader, runtime: str, window: int
) -> None:
    theirs = library_states(loader)
    found = trace(encoder_of(loader(runtime)), TEXT, window_residues=window)
    inside = slice(1, 1 + min(window, len(TEXT)))
    for layer in range(1, LAYERS):
        expected = theirs[layer][inside].double().mean(dim=0)
        assert torch.allclose(found.layers[layer - 1], expected, atol=1e-5)
    last = theirs[LAYERS]
    assert torch.allclose(found.residues_mean, last[inside].double().mean(dim=0), atol=1e-5)
    assert torch.allclose(found.all_tokens, last.double().mean(dim=0), atol=1e-5)
    assert found.tokens == len(last) == len(TEXT) + 2
    assert len(found.layers) == LAYERS + 1


@pytest.mark.parametrize("runtime", list(RUNTIMES))
def test_listening_leaves_the_encoder_as_it_was(loader: Loader, runtime: str) -> None:
    embedder = loader(runtime, "bfloat16")
    before = embedder.embed([TEXT])
    heard = trace(encoder_of(embedder), TEXT, window_residues=1024)
    assert torch.equal(embedder.embed([TEXT]), before)
    assert torch.equal(heard.vector, before[0])
    model = getattr(encoder_of(embedder), "model", None)
    if model is not None:
        assert not any(module._forward_hooks for module in model.modules())
