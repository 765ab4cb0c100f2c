"""Peak memory is the child's own: neither the parent's past nor the other arm shows in it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pytest
import torch

from embedders import Embedder, load
from embedders.contract import Cleaned, EmbedderSpec
from harness.measure import host_peak_rss_bytes, measure_memory, measure_memory_split

MIB = 2**20
FEW = ["MKTAYIAKQR"] * 2


class Greedy:
    """Takes some memory when it embeds and holds some, on top of what a real embedder takes."""

    def __init__(self, inner: Embedder, mebibytes: int, held: int = 0, passing: int = 0) -> None:
        self.inner = inner
        self.mebibytes = mebibytes
        torch.ones(passing * MIB // 4)
        self.held = torch.ones(held * MIB // 4)

    @property
    def spec(self) -> EmbedderSpec:
        return self.inner.spec

    def clean(self, sequence: str) -> Cleaned:
        return self.inner.clean(sequence)

    def embed(self, sequences: Sequence[str], *, tokens_per_batch: int = 4096) -> torch.Tensor:
        block = torch.ones(self.mebibytes * MIB // 4)
        result = self.inner.embed(sequences, tokens_per_batch=tokens_per_batch)
        return result + 0 * block[0]


def greedy(mebibytes: int, held: int = 0, passing: int = 0) -> Embedder:
    return Greedy(load("kmer4"), mebibytes, held, passing)


def importing() -> Embedder:
    import transformers.models.esm.modeling_esm  # noqa: F401, PLC0415 - some 60 MiB of modules

    return greedy(1)


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


def test_on_a_cpu_weights_and_activations_are_told_apart() -> None:
    memory, split = measure_memory_split(
        partial(greedy, 200, held=120), ["ACGT" * 10], arm="baseline", tokens_per_batch=100
    )
    assert (split.arm, split.device, split.allocator_bytes) == ("baseline", "cpu", None)
    assert split.weights_bytes == pytest.approx(120 * MIB, abs=10 * MIB)
    assert split.activations_bytes == pytest.approx(200 * MIB, abs=20 * MIB)
    parts = (split.weights_bytes, split.activations_bytes, split.context_bytes)
    assert split.peak_bytes == sum(part for part in parts if part is not None)
    assert memory.host_peak_rss_bytes == pytest.approx(split.peak_bytes, abs=10 * MIB)


def test_a_peak_of_loading_is_not_taken_for_one_of_embedding() -> None:
    memory, split = measure_memory_split(
        partial(greedy, 20, passing=400), ["ACGT" * 10], arm="baseline", tokens_per_batch=100
    )
    assert memory.host_peak_rss_bytes > 400 * MIB
    # None where the system cannot forget the higher peak
    assert split.activations_bytes is None or split.activations_bytes < 60 * MIB


def test_what_libraries_take_is_not_counted_as_weights() -> None:
    _, split = measure_memory_split(importing, ["ACGT"], arm="baseline", tokens_per_batch=100)
    assert split.weights_bytes is not None
    # what is imported takes some hundred; the C library's heap grows by a few in either case
    assert split.weights_bytes < 25 * MIB


def test_a_child_that_fails_while_its_imports_are_listed_is_an_error_with_the_arm(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(RuntimeError, match="memory of candidate"):
        measure_memory_split(broken, ["ACGT"], arm="candidate", tokens_per_batch=100)
    assert "no such model" in capfd.readouterr().err


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_on_cuda_the_parts_are_the_allocators_and_nvmls() -> None:
    embedder = partial(load, "esm2-8m", weights="random", device="cuda")
    parameters = embedder().spec.parameters
    memory, split = measure_memory_split(embedder, FEW, arm="baseline", tokens_per_batch=100)
    assert split.weights_bytes == pytest.approx(4 * parameters, rel=0.05)
    assert memory.device_peak_reserved_bytes is not None
    assert None not in (split.activations_bytes, split.allocator_bytes)
