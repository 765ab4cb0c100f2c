"""Energy comes from the device's counter, or it is absent."""

from __future__ import annotations

import pytest
import torch

from harness.measure import measure_energy
from tests.harness.measure.faked_nvml import FakedNvml

COUNTER = "nvmlDeviceGetTotalEnergyConsumption"


def test_energy_is_what_the_counter_went_on_by_in_joules(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = FakedNvml(millijoules=(10_000, 12_500)).install(monkeypatch)
    found = measure_energy(lambda: nvml.asked.append("work"), "cuda:0")
    assert found is not None
    assert found.joules == 2.5
    assert found.method == "NVML total energy counter"
    assert nvml.open == 0


def test_the_device_is_idle_whenever_the_counter_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = FakedNvml(millijoules=(1, 2)).install(monkeypatch)
    measure_energy(lambda: nvml.asked.append("work"), "cuda:0")
    told = [each.split()[0] for each in nvml.asked if each.split()[0] in ("idle", "work", COUNTER)]
    assert told == ["idle", COUNTER, "work", "idle", COUNTER]


@pytest.mark.parametrize(("device", "uuid"), [("cuda:0", "uuid-0"), ("cuda", "uuid-1")])
def test_the_counter_is_that_of_torchs_device(
    monkeypatch: pytest.MonkeyPatch, device: str, uuid: str
) -> None:
    nvml = FakedNvml(millijoules=(1, 2)).install(monkeypatch)
    measure_energy(lambda: None, device)
    assert f"{COUNTER} GPU-{uuid}" in nvml.asked


@pytest.mark.parametrize("fails", ["nvmlInit", "nvmlDeviceGetHandleByUUID", COUNTER])
def test_without_a_counter_there_is_no_figure_and_no_work(
    monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    nvml = FakedNvml(fails=fails).install(monkeypatch)
    done: list[int] = []
    assert measure_energy(lambda: done.append(1), "cuda:0") is None
    assert not done
    assert nvml.open == 0


def test_on_a_cpu_there_is_no_figure_even_beside_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = FakedNvml(millijoules=(1, 2)).install(monkeypatch)
    assert measure_energy(lambda: None, "cpu") is None
    assert not nvml.asked


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_second_of_products_takes_energy_or_has_no_counter() -> None:
    left = torch.randn(4096, 4096, device="cuda")

    def work() -> None:
        for _ in range(500):
            left @ left

    found = measure_energy(work, "cuda")
    assert found is None or found.joules > 0
