"""Each planted fault is the mistake that it is named for, and nothing else."""

from __future__ import annotations

import pytest
import torch

from harness.measure import (
    BatchDependent,
    Faulty,
    NaivePooling,
    OffByTwoTruncation,
    ShuffledRows,
    Unsteady,
    WithNaN,
)
from tests.harness.measure.parity.conftest import Loader

TEXTS = ["MKTAYIAKQR", "MK", "GWLPDE"]
EVERY = (
    Faulty,
    NaivePooling,
    ShuffledRows,
    OffByTwoTruncation,
    BatchDependent,
    Unsteady,
    WithNaN,
)


@pytest.mark.parametrize("fault", EVERY)
def test_a_faulty_embedder_keeps_the_contract_of_shapes(
    loader: Loader, fault: type[Faulty]
) -> None:
    sound = loader("packed", "bfloat16")
    faulty = fault(sound)
    assert faulty.spec == sound.spec
    assert faulty.clean("mk*") == sound.clean("mk*")
    for texts in (TEXTS, []):
        matrix = faulty.embed(texts, tokens_per_batch=100)
        assert matrix.shape == (len(texts), sound.spec.width)
        assert matrix.dtype == torch.float32


def test_naive_pooling_is_the_mean_that_people_write(loader: Loader) -> None:
    from embedders.alphabet import encode  # noqa: PLC0415

    model = loader("huggingface").encoder.model  # type: ignore[attr-defined]
    found = NaivePooling(loader("huggingface"), padding=False).embed(TEXTS)
    for row, text in zip(found, TEXTS, strict=True):
        with torch.inference_mode():
            naive = model(input_ids=encode(text)[None]).last_hidden_state.mean(dim=1)[0]
        assert torch.allclose(row, naive, atol=1e-5)


def test_the_window_that_is_two_short_is_that_of_1022_residues(loader: Loader) -> None:
    long = "MKTAYIAKQR" * 110
    sound = loader("packed")
    assert torch.equal(
        OffByTwoTruncation(sound).embed([long, "MK"]), sound.embed([long[:1022], "MK"])
    )


def test_noise_is_new_at_every_call_and_the_same_for_a_seed(loader: Loader) -> None:
    one, other = Unsteady(loader("packed")), Unsteady(loader("packed"))
    first = one.embed(TEXTS)
    assert not torch.equal(one.embed(TEXTS), first)
    assert torch.equal(other.embed(TEXTS), first)
