"""Energy of one piece of work, by the device's own counter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from harness.costs import Energy
from harness.measure import nvml
from harness.measure.clock import synchronise

METHOD = "NVML total energy counter"


def measure_energy(work: Callable[[], object], device: str) -> Energy | None:
    """Do ``work`` and return the energy that the whole device took meanwhile.

    None where there is no counter: on a CPU, without NVML, on a device older than Volta. If that
    is known beforehand, the work is not done. The counter goes on every few dozen milliseconds, so
    work of less than some seconds gives a coarse figure.
    """
    place = torch.device(device)
    if place.type != "cuda":
        return None
    synchronise(device)
    before = nvml.ask(place, _millijoules)
    if before is None:
        return None
    work()
    synchronise(device)
    after = nvml.ask(place, _millijoules)
    return None if after is None else Energy(joules=(after - before) / 1000, method=METHOD)


def _millijoules(handle: Any) -> int:  # noqa: ANN401 - pynvml has no types
    """Return the counter, which counts since the driver was loaded."""
    import pynvml  # noqa: PLC0415 - only where there is a GPU

    return int(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle))
