"""GPUs, their driver and the CUDA that torch was built for, without any of them."""

from __future__ import annotations

import pynvml
import pytest
import torch

from harness.doctor import Finding, Status, graphics
from harness.doctor.graphics import Gpu, Graphics, Nvml

GIB = 1 << 30
H100 = Gpu(0, "H100", (9, 0), 70 * GIB, 80 * GIB)
T4 = Gpu(0, "T4", (7, 5), 10 * GIB, 15 * GIB)
DRIVER = Nvml("550.54", (12, 4), ("H100",))
REASON = ["embedding.device = 'cuda'"]


def cuda(found: list[Finding]) -> Finding:
    return next(finding for finding in found if finding.subject == "CUDA")


@pytest.mark.parametrize(
    ("machine", "word", "remedy"),
    [
        (Graphics(None), "built for CPUs only", "CUDA build"),
        (Graphics(None, nvml=DRIVER), "the driver sees H100", "CUDA build"),
        (Graphics("12.6"), "no NVIDIA driver answers", "driver"),
        (Graphics("13.0", nvml=DRIVER), "CUDA 12.4 at most", "update the driver"),
        (Graphics("12.8", nvml=DRIVER), "finds no device", "CUDA_VISIBLE_DEVICES"),
        (Graphics("12.8", nvml=DRIVER, fault="CUDA error: busy"), "busy", "end what else"),
    ],
)
def test_why_there_is_no_device_and_what_to_do(machine: Graphics, word: str, remedy: str) -> None:
    absent = cuda(graphics.examine(machine))
    assert absent.status is Status.NOTE
    assert word in absent.found
    assert remedy in absent.remedy
    needed = cuda(graphics.examine(machine, reasons=REASON))
    assert needed.status is Status.MISSING
    assert REASON[0] in needed.found


def test_a_device_that_works_is_ok_needed_or_not() -> None:
    machine = Graphics("12.6", (H100,), DRIVER)
    assert cuda(graphics.examine(machine)).status is Status.OK
    assert cuda(graphics.examine(machine, reasons=REASON)).status is Status.OK
    assert all(found.status is Status.OK for found in graphics.examine(machine))


def test_a_device_number_beyond_the_last_is_missing() -> None:
    machine = Graphics("12.6", (H100,), DRIVER)
    finding = cuda(graphics.examine(machine, reasons=["embedding.device = 'cuda:2'"], index=2))
    assert finding.status is Status.MISSING
    assert "no cuda:2" in finding.found
    assert not graphics.has(machine, torch.device("cuda:2"))
    assert graphics.has(machine, torch.device("cuda"))


@pytest.mark.parametrize(("gpu", "sensible"), [(H100, ["bfloat16", "float32"]), (T4, ["float32"])])
def test_bfloat16_is_sensible_from_capability_8_on(gpu: Gpu, sensible: list[str]) -> None:
    found = graphics.examine(Graphics("12.6", (gpu,), DRIVER))
    device = next(finding for finding in found if finding.subject == "cuda:0")
    assert device.details["sensible"] == sensible
    assert gpu.name in device.found
    assert f"{gpu.free_bytes // GIB}.0 GiB" in device.found


@pytest.mark.parametrize(("nvml", "status"), [(DRIVER, Status.OK), (None, Status.NOTE)])
def test_nvml_is_told_and_never_needed(nvml: Nvml | None, status: Status) -> None:
    found = graphics.examine(Graphics("12.6", (H100,), nvml), reasons=REASON)
    last = found[-1]
    assert (last.subject, last.status, last.needed) == ("NVML", status, False)


def test_a_device_that_refuses_is_a_fault_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(index: int) -> tuple[int, int]:
        raise RuntimeError(f"CUDA error: device {index} is busy\nmore of it")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "mem_get_info", refuse)
    assert graphics.look().fault == "CUDA error: device 0 is busy"


def test_what_torch_and_the_driver_say_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (70 * GIB, 80 * GIB))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "H100")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    answers = {
        "nvmlInit": None,
        "nvmlShutdown": None,
        "nvmlSystemGetCudaDriverVersion_v2": 12040,
        "nvmlSystemGetDriverVersion": "550.54",
        "nvmlDeviceGetCount": 1,
        "nvmlDeviceGetHandleByIndex": 0,
        "nvmlDeviceGetName": "H100",
    }
    for name, answer in answers.items():
        monkeypatch.setattr(pynvml, name, lambda *_, answer=answer: answer)
    found = graphics.look()
    assert (found.gpus, found.nvml) == ((H100,), DRIVER)
