"""A stand-in for NVIDIA's management library, as far as the measurements ask it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace

import pytest
import torch


class NVMLError(Exception):
    """What every fault of the library is."""


@dataclass
class FakedNvml:
    """One GPU: its energy counter, who uses its memory, and what fails."""

    millijoules: Sequence[int] = ()
    processes: Sequence[tuple[int, int | None]] = ()
    used_bytes: int = 0
    fails: str = ""
    open: int = 0
    asked: list[str] = field(default_factory=list)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> FakedNvml:
        """Put it in the library's place, and give torch two devices."""
        module = ModuleType("pynvml")
        counter: Iterator[int] = iter(self.millijoules)
        functions = {
            "nvmlInit": lambda: self._count(1),
            "nvmlShutdown": lambda: self._count(-1),
            "nvmlDeviceGetHandleByUUID": str,
            "nvmlDeviceGetTotalEnergyConsumption": lambda _: next(counter),
            "nvmlDeviceGetComputeRunningProcesses": lambda _: [
                SimpleNamespace(pid=pid, usedGpuMemory=used) for pid, used in self.processes
            ],
            "nvmlDeviceGetMemoryInfo": lambda _: SimpleNamespace(used=self.used_bytes),
        }
        for name, function in functions.items():
            setattr(module, name, self._noting(name, function))
        module.NVMLError = NVMLError  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "pynvml", module)
        monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
        monkeypatch.setattr(torch.cuda, "synchronize", lambda _: self.asked.append("idle"))
        monkeypatch.setattr(
            torch.cuda, "get_device_properties", lambda index: SimpleNamespace(uuid=f"uuid-{index}")
        )
        return self

    def _count(self, change: int) -> None:
        self.open += change

    def _noting(self, name: str, function: object) -> object:
        def call(*arguments: object) -> object:
            if name == self.fails:
                raise NVMLError(name)
            self.asked.append(" ".join([name, *map(str, arguments)]))
            assert callable(function)
            return function(*arguments)

        return call
