"""Whether maps fit: refused before anything is loaded, with what would fit instead."""

from __future__ import annotations

from pathlib import Path

import psutil
import torch

from embedders import InputError, Truncation
from harness.attention.plan import Plan
from harness.doctor.control_group import read_limits
from harness.doctor.memory import host_free_bytes
from harness.doctor.storage import free_bytes
from harness.features.errors import show_id


def check_room(plan: Plan, folder: Path, device: torch.device) -> None:
    """Refuse a plan that cannot fit onto the folder's disk or into the device's memory.

    Memory is reckoned at its least, so that nothing is refused that could have run.

    Raises
    ------
    InputError
        If it cannot; the message gives the bytes, and the options that make it fit.
    """
    free_on_disk = free_bytes(folder)
    if plan.disk_bytes > free_on_disk:
        fitting = [
            f"{option} takes {each.disk_bytes:,}"
            for option, each in plan.smaller()
            if each.disk_bytes <= free_on_disk
        ]
        remedy = ", ".join(fitting) or "choose fewer records, or another disk"
        raise InputError(
            f"{folder}: the maps take {plan.disk_bytes:,} bytes, and {free_on_disk:,} are free "
            f"there; {remedy}"
        )
    free, where = _free_memory(device)
    if plan.memory_bytes > free:
        record = plan.longest
        policy = "--truncation truncate, " if plan.truncation is Truncation.LEGACY else ""
        raise InputError(
            f"record {record.number} ({show_id(record.id)}): the weights of {plan.model.name} and "
            f"the attention of {plan.shape(record)[-1]:,} tokens take at least "
            f"{plan.memory_bytes:,} bytes in {plan.dtype}, and {free:,} are free on {where}; take "
            f"{policy}--dtype bfloat16, a smaller model or a larger machine"
        )


def _free_memory(device: torch.device) -> tuple[int, str]:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0], str(device)
    return host_free_bytes(psutil.virtual_memory().available, read_limits()), "the host"
