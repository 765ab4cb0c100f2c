"""Ceilings are measured, not assumed: the arithmetic follows from the seconds."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from embedders import InputError, UnsupportedChoice
from harness.measure import bandwidth_ceiling, ceiling, gemm_ceiling


def test_the_fastest_product_of_the_fastest_size_is_the_ceiling(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seconds = {8: (2.0, 1.0), 16: (4.0, 5.0), 32: (64.0, 80.0)}

    def chains(work: Callable[[], torch.Tensor], device: str, *, seconds_: float) -> object:
        assert device == "cpu"
        assert seconds_ == 0.1
        return seconds[work().shape[0]]

    monkeypatch.setattr(
        ceiling, "time_chains", lambda work, device, seconds: chains(work, device, seconds_=seconds)
    )
    found = gemm_ceiling("cpu", "float32", sizes=(8, 16, 32), seconds=0.1)
    assert found.size == 16
    assert found.seconds == (4.0, 5.0)
    assert found.flops_per_s == 2 * 16**3 / 4.0
    assert found.tf32 is None


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_ceiling_is_measured_here_and_now(dtype: str) -> None:
    found = gemm_ceiling("cpu", dtype, sizes=(64, 128), seconds=0.01)
    assert (found.device, found.dtype) == ("cpu", dtype)
    assert found.flops_per_s == pytest.approx(2 * found.size**3 / min(found.seconds))
    assert len(found.seconds) >= 3


def test_float16_is_refused_on_a_cpu() -> None:
    with pytest.raises(UnsupportedChoice, match="400 times"):
        gemm_ceiling("cpu", "float16", sizes=(8,))


@pytest.mark.parametrize("sizes", [(), (0, 8)])
def test_products_of_nothing_are_refused(sizes: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="at least 1"):
        gemm_ceiling("cpu", "float32", sizes=sizes)


def test_bandwidth_counts_two_reads_and_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ceiling, "time_chains", lambda *_, **__: (0.5, 0.25))
    found = bandwidth_ceiling("cpu", array_bytes=1_003)
    assert found.array_bytes == 1_000
    assert found.bytes_per_s == 3 * 1_000 / 0.25


def test_the_triad_computes_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    results: list[torch.Tensor] = []

    def once(work: Callable[[], torch.Tensor], *_: object, **__: object) -> tuple[float, ...]:
        results.append(work())
        return (1.0,)

    monkeypatch.setattr(ceiling, "time_chains", once)
    bandwidth_ceiling("cpu", array_bytes=64)
    assert torch.equal(results[0], torch.full((16,), 1.0 + 3.0 * 2.0))


def test_an_array_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="3 bytes"):
        bandwidth_ceiling("cpu", array_bytes=3)
