"""Peak memory is the child's own: neither the parent's past nor the other arm shows in it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pytest
import torch

from embedders import Embedder, load
from embedders.contract import Cleaned, EmbedderSpec
from harness.measure import host_peak_rss_bytes, measure_memory

MIB = 2**20


class Greedy:
    """Takes some memory when it embeds, on top of what a real embedder takes."""

    def __init__(self, inner: Embedder, mebibytes: int) -> None:
        self.inner = inner
        self.mebibytes = mebibytes

    @property
    def spec(self) -> EmbedderSpec:
        return self.inner.spec

    def clean(self, sequence: str) -> Cleaned:
        return self.inner.clean(sequence)

    def embed(self, sequences: Sequence[str], *, tokens_per_batch: int = 4096) -> torch.Tensor:
        block = torch.ones(self.mebibytes * MIB // 4)
        result = self.inner.embed(sequences, tokens_per_batch=tokens_per_batch)
        return result + 0 * block[0]


def greedy(mebibytes: int) -> Embedder:
    return Greedy(load("kmer4"), mebibytes)


def broken() -> Embedder:
    raise RuntimeError("no such model")


def measure(mebibytes: int) -> int:
    result = measure_memory(
        partial(greedy, mebibytes), ["ACGT" * 10], arm="baseline", tokens_per_batch=100
    )
    assert result.arm == "baseline"
    assert result.host_peak_rss_bytes >= result.host_start_rss_bytes > 0
    return result.host_peak_rss_bytes


def test_peak_is_what_the_child_took_whatever_the_parent_took_before() -> None:
    block = torch.ones(1024 * MIB // 4)  # a GiB that the parent gives back
    del block
    assert host_peak_rss_bytes() > 1024 * MIB
    small, large = measure(1), measure(301)
    assert small < 1024 * MIB
    assert 280 * MIB < large - small < 320 * MIB


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU to measure")
def test_without_a_gpu_device_memory_is_absent_not_zero() -> None:
    result = measure_memory(partial(greedy, 1), ["ACGT"], arm="baseline", tokens_per_batch=100)
    assert result.device_peak_allocated_bytes is None
    assert result.nvml_used_bytes is None


def test_a_child_that_fails_is_an_error_with_the_arm(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError, match="memory of candidate"):
        measure_memory(broken, ["ACGT"], arm="candidate", tokens_per_batch=100)
    assert "no such model" in capfd.readouterr().err
