"""Attention maps against fair-esm's own, and what holds for any softmax attention."""

from __future__ import annotations

import gc
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from embedders import (
    Embedder,
    Heads,
    InputError,
    UnknownName,
    UnsupportedChoice,
    load,
    read_attention,
    watch_attention,
)
from embedders.attention_maps import Selection
from tests.bundled import proteins
from tests.embedders.references import fair_esm_model

SEQUENCE = "MKTAYIAKQRQISFVKSHFSRQ"
TOLERANCE = 1e-5
LENGTHS = (40, 100, 350, 600)
"""Of the real proteins that are compared, about."""
LONG = SEQUENCE * 47
assert len(LONG) == 1_034


@cache
def eager(name: str = "mini-candidate", **options: Any) -> Embedder:  # noqa: ANN401 - those of load
    return load(name, runtime="huggingface", attention="eager", device="cpu", **options)


def maps_of_fair_esm(model: Any, residues: str) -> torch.Tensor:  # noqa: ANN401 - it has no types
    """``(layers, heads, tokens, tokens)`` by the library's own tokens and own switch."""
    alphabet = model.alphabet
    _, _, tokens = alphabet.get_batch_converter()([("", residues)])
    with torch.inference_mode():
        found = model(tokens, repr_layers=[], need_head_weights=True)
    maps: torch.Tensor = found["attentions"][0]
    return maps


@pytest.mark.weights
@pytest.mark.parametrize("least", LENGTHS)
def test_maps_of_real_weights_are_those_of_fair_esm(esm2_8m_folder: Path, least: int) -> None:
    real = min((each for each in proteins(1_720).values() if len(each) >= least), key=len)
    found = read_attention(eager("esm2-8m", weights=str(esm2_8m_folder)), real)
    expected = maps_of_fair_esm(_reference(esm2_8m_folder), real)
    assert found.weights.shape == expected.shape
    assert (found.weights - expected).abs().max() <= TOLERANCE


@cache
def _reference(folder: Path) -> torch.nn.Module:
    return fair_esm_model(folder)


@pytest.mark.parametrize("name", ["mini-baseline", "mini-candidate"])
@pytest.mark.parametrize("sequence", [SEQUENCE, LONG], ids=["short", "beyond-the-window"])
def test_maps_of_the_minis_are_those_of_fair_esm(name: str, sequence: str) -> None:
    library: Any = load(name, runtime="fair-esm", device="cpu")
    expected = maps_of_fair_esm(library.encoder.model, sequence[:1024])
    found = read_attention(eager(name), sequence)
    assert found.weights.shape == expected.shape
    assert (found.weights - expected).abs().max() <= TOLERANCE


@given(st.text("ACDEFGHIKLMNPQRSTVWYBZXUO", min_size=1, max_size=60))
def test_every_row_sums_to_one(residues: str) -> None:
    weights = read_attention(eager(), residues).weights
    assert weights.shape == (4, 3, len(residues) + 2, len(residues) + 2)
    assert (weights >= 0).all()
    assert (weights.sum(dim=-1) - 1).abs().max() <= TOLERANCE


def test_rows_in_bfloat16_sum_to_one_within_its_rounding() -> None:
    weights = read_attention(eager(dtype="bfloat16"), SEQUENCE).weights
    assert weights.dtype == torch.float32
    # each weight is rounded by at most 2^-9 of itself, and all together are 1
    assert (weights.sum(dim=-1) - 1).abs().max() <= 2**-8


def test_the_vector_is_the_embedders_own() -> None:
    found = read_attention(eager(), SEQUENCE).vector
    assert torch.equal(found, eager().embed([SEQUENCE])[0])
    for runtime in ("fair-esm", "packed"):
        other = load("mini-candidate", runtime=runtime, device="cpu").embed([SEQUENCE])[0]
        assert (found - other).abs().max() <= TOLERANCE


def test_a_sequence_is_cleaned_as_for_its_vector() -> None:
    spoilt = f"{SEQUENCE[:5].lower()}-{SEQUENCE[5:]}*"
    found = read_attention(eager(), spoilt)
    assert torch.equal(found.weights, read_attention(eager(), SEQUENCE).weights)


def test_truncation_decides_how_many_tokens_there_are() -> None:
    sides = {
        policy: read_attention(
            eager(truncation=policy), LONG, layers=[1], heads="mean"
        ).weights.shape[-1]
        for policy in ("truncate", "legacy")
    }
    assert sides == {"truncate": 1_026, "legacy": 1_036}


def test_chosen_layers_and_mean_heads_are_part_of_the_whole() -> None:
    whole = read_attention(eager(), SEQUENCE)
    assert whole.layers == (1, 2, 3, 4)
    chosen = read_attention(eager(), SEQUENCE, layers=[2, 4])
    assert chosen.layers == (2, 4)
    assert torch.equal(chosen.weights, whole.weights[[1, 3]])
    mean = read_attention(eager(), SEQUENCE, heads=Heads.MEAN).weights
    assert (mean - whole.weights.mean(dim=1, keepdim=True)).abs().max() <= 1e-7


def test_the_weights_may_be_changed_and_differentiated_afterwards() -> None:
    weights = read_attention(eager(), SEQUENCE).weights
    weights += 1
    (gradient,) = torch.autograd.grad(weights.requires_grad_().sum(), weights)
    assert torch.equal(gradient, torch.ones_like(weights))


def test_layers_are_shown_in_order_and_one_at_a_time() -> None:
    tokens = len(SEQUENCE) + 2
    shown, alive = [], []

    def see(layer: int, weights: torch.Tensor) -> None:
        assert weights.shape == (3, tokens, tokens)
        shown.append(layer)
        tensors = (each for each in gc.get_objects() if type(each) is torch.Tensor)
        alive.append(sum(each.shape[-2:] == (tokens, tokens) for each in tensors))

    watch_attention(eager(), SEQUENCE, see)
    assert shown == [1, 2, 3, 4]
    assert len(set(alive)) == 1


def test_nobody_watches_after_a_pass_that_failed() -> None:
    def refuse(layer: int, _: torch.Tensor) -> None:
        raise KeyError(layer)

    with pytest.raises(KeyError, match="1"):
        watch_attention(eager(), SEQUENCE, refuse)
    assert eager().embed([SEQUENCE]).shape == (1, 96)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mini-candidate", {"runtime": "huggingface", "attention": "sdpa"}),
        ("mini-candidate", {"runtime": "fair-esm"}),
        ("mini-candidate", {"runtime": "packed"}),
        ("kmer4", {}),
    ],
)
def test_an_embedder_that_writes_no_weights_out_is_refused(
    name: str, options: dict[str, Any]
) -> None:
    with pytest.raises(UnsupportedChoice, match="attention='eager'"):
        read_attention(load(name, device="cpu", **options), "ACGT")


@pytest.mark.parametrize("layers", [(), (0,), (2, 1), (1, 1), (5,)])
def test_layers_that_are_not_there_are_refused(layers: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="layer"):
        read_attention(eager(), SEQUENCE, layers=layers)


def test_an_unknown_choice_of_heads_gives_the_nearest() -> None:
    with pytest.raises(UnknownName, match="mean"):
        read_attention(eager(), SEQUENCE, heads="means")


def test_the_shape_of_the_650m_model_is_known_beforehand() -> None:
    layers = tuple(range(1, 34))
    assert Selection(layers).shape(20, 1_024) == (33, 20, 1_026, 1_026)
    assert Selection(layers, Heads.MEAN).shape(20, 1_024) == (33, 1, 1_026, 1_026)
