"""A window that is off by any number of residues is caught under both policies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import torch

from embedders import DEFAULT_TOKENS_PER_BATCH, Truncation
from harness.measure import Faulty
from harness.measure.parity.states import encoder_of, trace
from harness.measure.parity.truncation import (
    cut,
    legacy_window,
    long_sequence,
    truncated_window,
)
from tests.harness.measure.parity.conftest import Loader


@dataclass(frozen=True, slots=True)
class OffBy(Faulty):
    residues: int = 0

    def embed(
        self, sequences: Sequence[str], *, tokens_per_batch: int = DEFAULT_TOKENS_PER_BATCH
    ) -> torch.Tensor:
        del tokens_per_batch
        window = self.spec.window_residues + self.residues
        legacy = self.spec.truncation is Truncation.LEGACY
        texts = [each if legacy else each[:window] for each in sequences]
        heard = [trace(self.encoder, each, window_residues=window).vector for each in texts]
        return torch.stack(heard)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("residues", [-2, -1, 0, 1, 2])
def test_only_the_true_window_passes_when_the_rest_is_cut_off(
    loader: Loader, residues: int, dtype: str
) -> None:
    embedder = OffBy(loader("packed", dtype), residues)
    long = long_sequence(["MKTAYIAKQR", "GWLPDE"], embedder)
    assert truncated_window(embedder, long, arm="a").passed is (residues == 0)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("residues", [-2, -1, 0, 1, 2])
def test_only_the_true_window_passes_when_the_whole_enters(
    loader: Loader, residues: int, dtype: str
) -> None:
    embedder = OffBy(loader("packed", dtype, "legacy"), residues)
    long = long_sequence(["MKTAYIAKQR", "GWLPDE"], embedder)
    own, other = (
        trace(encoder_of(each), long, window_residues=1024)
        for each in (embedder, loader("fair-esm", "float32", "legacy"))
    )
    checks = legacy_window(embedder, long, own, other, arm="a", library="fair-esm")
    assert all(check.passed for check in checks) is (residues == 0)


def test_a_legacy_arm_that_cuts_off_what_it_does_not_pool_is_caught(loader: Loader) -> None:
    cutting = loader("packed", "bfloat16", "truncate")
    embedder = loader("packed", "bfloat16", "legacy")
    long = long_sequence(["MKTAYIAKQR", "GWLPDE"], embedder)
    traces = [
        trace(encoder_of(each), long, window_residues=1024)
        for each in (embedder, loader("fair-esm", "float32", "legacy"))
    ]
    checks = legacy_window(cutting, long, *traces, arm="a", library="fair-esm")
    assert not all(check.passed for check in checks)


def test_the_long_sequence_passes_the_window_and_is_made_of_what_was_given(loader: Loader) -> None:
    for policy in Truncation:
        embedder = loader("packed", "float32", policy)
        long = long_sequence(["MK", "L"], embedder)
        assert len(long) > 1024
        assert long.startswith("MKLMKLMKL")
        entering = 1024 if policy is Truncation.TRUNCATE else len(long)
        assert len(cut(long, embedder)) == entering
