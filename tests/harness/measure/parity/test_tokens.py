"""The tokens that enter a model, heard at the model itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import nn

from embedders import DEFAULT_TOKENS_PER_BATCH, RUNTIMES, Cleaned, Embedder, InputError, load
from embedders.errors import RejectedSequence
from harness.measure import Faulty
from harness.measure.parity.tokens import (
    library_tokenizer,
    odd_sequences,
    token_count,
    token_ids,
    tokens_entering,
    unknown_tokens,
)
from tests.harness.measure.parity.conftest import Loader

TEXTS = ["MKTAYIAKQRX", "GWLPDE"]


@contextmanager
def tokens_changed(
    embedder: Embedder, change: Callable[[torch.Tensor], torch.Tensor]
) -> Iterator[Embedder]:
    """Spoil the tokens between encoding and model."""
    model: nn.Module = embedder.encoder.model  # type: ignore[attr-defined]

    def hook(_: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return (change(args[0]), *args[1:])

    table = next(each for each in model.modules() if isinstance(each, nn.Embedding))
    handle = table.register_forward_pre_hook(hook)
    try:
        yield embedder
    finally:
        handle.remove()


@pytest.mark.parametrize("runtime", list(RUNTIMES))
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_tokens_are_heard_in_every_runtime(loader: Loader, runtime: str, dtype: str) -> None:
    # ids of <cls> M K <eos> in the vocabulary file of facebook/esm2_t6_8M_UR50D
    assert tokens_entering(loader(runtime, dtype), "mk*") == [0, 20, 15, 2]


@pytest.mark.parametrize("library", ["fair-esm", "huggingface"])
def test_both_libraries_tokenizers_know_every_letter(library: str) -> None:
    letters = "LAGVSERTIDPKQNFYMHWCXBUZO"  # their order in the same file, from 4 on
    assert library_tokenizer(library)(letters) == [0, *range(4, 29), 2]


def test_listening_computes_no_layer(loader: Loader) -> None:
    passed: list[str] = []
    embedder = loader("huggingface")
    layer = embedder.encoder.model.encoder.layer[0]  # type: ignore[attr-defined]
    handle = layer.register_forward_hook(lambda *_: passed.append("layer"))
    try:
        tokens_entering(embedder, "MKT")
        assert not passed
        embedder.embed(["MKT"])
        assert passed == ["layer"]
    finally:
        handle.remove()


def test_an_embedder_that_looks_nothing_up_is_refused() -> None:
    with pytest.raises(InputError, match="no token embedding was seen"):
        tokens_entering(load("kmer4"), "ACGTACGT")


def test_an_unknown_token_in_place_of_x_is_counted(loader: Loader) -> None:
    def spoil(tokens: torch.Tensor) -> torch.Tensor:
        return tokens.masked_fill(tokens == 24, 3)  # X is 24, <unk> is 3

    embedder = loader("huggingface")
    assert unknown_tokens(embedder, TEXTS, arm="a").passed
    with tokens_changed(embedder, spoil) as spoilt:
        found = unknown_tokens(spoilt, TEXTS, arm="a")
    # the X of the first, its seven repaired heads' X, and the X made of J and j: 1 + 8 + 2
    assert found.value == 11
    assert not found.passed


@dataclass(frozen=True, slots=True)
class OwnCleaning(Faulty):
    """Embeds after another cleaning than the policy's."""

    own: Callable[[str], str] = str

    def clean(self, sequence: str) -> Cleaned:
        return Cleaned(self.own(sequence))

    def embed(
        self, sequences: Sequence[str], *, tokens_per_batch: int = DEFAULT_TOKENS_PER_BATCH
    ) -> torch.Tensor:
        cleaned = [self.own(each) for each in sequences]
        return self.inner.embed(cleaned, tokens_per_batch=tokens_per_batch)


def refuse_lower_case(sequence: str) -> str:
    if sequence != sequence.upper():
        raise RejectedSequence("lower case")
    return sequence


def test_a_sequence_that_cleaning_should_repair_and_does_not_is_counted(loader: Loader) -> None:
    picky = OwnCleaning(loader("packed"), refuse_lower_case)
    assert unknown_tokens(picky, TEXTS, arm="a").value == 2  # all lower case, and one j


def test_what_must_be_refused_is_refused(loader: Loader) -> None:
    repaired, refused = odd_sequences("MKTAYIAKQR")
    for each in refused:
        with pytest.raises(RejectedSequence):
            tokens_entering(loader("fair-esm"), each)
    for each in repaired:
        assert set(tokens_entering(loader("fair-esm"), each)[1:-1]) <= set(range(4, 29))


def test_a_residue_lost_on_the_way_is_counted(loader: Loader) -> None:
    embedder = loader("packed")
    shortened = OwnCleaning(embedder, lambda sequence: sequence[:-1])
    assert token_count(embedder, TEXTS, TEXTS, arm="a").passed
    assert token_count(shortened, TEXTS, TEXTS, arm="a").value == 1


@pytest.mark.parametrize("library", ["fair-esm", "huggingface"])
def test_residues_taken_for_others_are_counted(loader: Loader, library: str) -> None:
    embedder = loader("packed")
    swapped = OwnCleaning(embedder, lambda sequence: sequence.replace("K", "R"))
    assert token_ids(embedder, TEXTS, TEXTS, arm="a", library=library).passed
    assert token_ids(swapped, TEXTS, TEXTS, arm="a", library=library).value == 2
