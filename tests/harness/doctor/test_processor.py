"""Cores, arithmetic and the dtype that suits a processor."""

from __future__ import annotations

import pytest
import torch

from harness.doctor import processor
from harness.doctor.control_group import Limits
from harness.doctor.processor import Products

X86 = "processor\t: 0\nflags\t\t: fpu avx2 avx512f amx_tile amx_bf16 avx512_bf16\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd sve bf16\n"


@pytest.mark.parametrize(
    ("cpuinfo", "features"),
    [
        (X86, ("avx2", "avx512f", "avx512_bf16", "amx_bf16")),
        (ARM, ("asimd", "sve", "bf16")),
        ("processor\t: 0\n", ()),
    ],
)
def test_features_are_those_of_the_first_processor(cpuinfo: str, features: tuple[str, ...]) -> None:
    assert processor.features_of(cpuinfo) == features


def test_features_are_never_empty() -> None:
    assert all(processor.read_features())


@pytest.mark.parametrize(
    ("products", "sensible"),
    [
        (Products(float32_s=0.009, bfloat16_s=0.004), ["bfloat16", "float32"]),
        (Products(float32_s=0.009, bfloat16_s=0.09), ["float32"]),
        (Products(float32_s=0.0100, bfloat16_s=0.0098), ["float32"]),
    ],
)
def test_the_sensible_dtype_is_the_one_measured_to_be_faster(
    products: Products, sensible: list[str]
) -> None:
    finding = processor.examine_dtype(products)
    assert finding.details["sensible"] == sensible


@pytest.mark.parametrize("bfloat16_s", [0.001, 0.1, 10.0])
def test_float16_is_never_sensible_on_a_cpu(bfloat16_s: float) -> None:
    finding = processor.examine_dtype(Products(0.01, bfloat16_s))
    assert "float16" not in str(finding.details["sensible"]).replace("bfloat16", "")
    assert "never float16 on a CPU" in finding.found


def test_the_measured_factor_is_told() -> None:
    finding = processor.examine_dtype(Products(float32_s=0.010, bfloat16_s=0.004))
    assert "2.5× as fast" in finding.found
    assert finding.details["bfloat16_speedup"] == 2.5


def test_the_fastest_round_of_each_counts_and_slow_machines_stop_early() -> None:
    times = iter(
        [
            0.0,  # start
            *(0.000, 0.009),  # float32, which waited for something else
            *(0.010, 0.014),  # bfloat16
            0.015,  # time for another round
            *(0.020, 0.022),  # float32
            *(0.030, 0.039),  # bfloat16, which waited
            0.500,  # no time for another
        ]
    )
    products = processor.measure_products(lambda: next(times))
    assert products.float32_s == pytest.approx(0.002)
    assert products.bfloat16_s == pytest.approx(0.004)


def test_measuring_leaves_the_threads_as_they_were() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        products = processor.measure_products()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert products.float32_s > 0
    assert products.bfloat16_s > 0


def test_a_quota_of_the_control_group_is_told_beside_the_cores() -> None:
    finding = processor.examine_cores("EPYC", 64, Limits(cpus=2.5), ("avx2",))
    assert "64 cores" in finding.found
    assert "allows 2.5" in finding.found
    assert "allows" not in processor.examine_cores("EPYC", 64, Limits(), ("avx2",)).found
