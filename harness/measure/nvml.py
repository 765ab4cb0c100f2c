"""Questions to NVIDIA's management library about one of torch's CUDA devices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch

T = TypeVar("T")


def ask(device: torch.device, question: Callable[[Any], T]) -> T | None:
    """Return what ``question`` gives for NVML's handle of a CUDA device.

    None where NVML does not answer: there is no driver, or the device has no such figure. The
    device is found by its UUID, because CUDA_VISIBLE_DEVICES renumbers what torch sees.
    """
    import pynvml  # noqa: PLC0415 - only where there is a GPU

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    try:
        return question(pynvml.nvmlDeviceGetHandleByUUID(_uuid(device)))
    except pynvml.NVMLError:
        return None
    finally:
        pynvml.nvmlShutdown()


def _uuid(device: torch.device) -> str:
    index = torch.cuda.current_device() if device.index is None else device.index
    return f"GPU-{torch.cuda.get_device_properties(index).uuid}"
