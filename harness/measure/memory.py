"""Peak memory of one embedder, in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from embedders import Embedder
from harness.results import Memory


def measure_memory(
    load: Callable[[], Embedder],
    sequences: Sequence[str],
    *,
    arm: str,
    tokens_per_batch: int,
) -> Memory:
    """Load one embedder in a fresh process, embed, and read the peaks.

    A process of its own, because peaks only ever rise: the second model measured in one process
    would inherit the first one's. On CUDA, both the torch allocator's peak and what NVML saw are
    reported; NVML also counts the context and library workspaces.

    Parameters
    ----------
    load
        Picklable; called in the child.
    sequences
        What to embed; the longest batch decides the peak.

    Raises
    ------
    RuntimeError
        If the child process fails; its own traceback is on stderr.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(
        target=_measure_here, args=(sender, load, list(sequences), arm, tokens_per_batch)
    )
    child.start()
    sender.close()
    try:
        result: Memory = receiver.recv()
    except EOFError as error:
        child.join()
        raise RuntimeError(
            f"memory of {arm}: the child process ended with {child.exitcode}"
        ) from error
    child.join()
    return result


def host_peak_rss_bytes() -> int:
    """Return this process's own peak resident set, in bytes.

    On Linux this is VmHWM: ``ru_maxrss`` survives ``exec`` there, so a child would report its
    parent's peak. On macOS ``ru_maxrss`` is already in bytes.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _measure_here(
    sender: multiprocessing.connection.Connection,
    load: Callable[[], Embedder],
    sequences: list[str],
    arm: str,
    tokens_per_batch: int,
) -> None:
    before = host_peak_rss_bytes()
    # Both libraries' imports and the allocator's context come before the model, as in production
    nvml_before = _nvml_bytes() if torch.cuda.is_available() else None
    embedder = load()
    embedder.embed(sequences, tokens_per_batch=tokens_per_batch)
    on_cuda = torch.device(embedder.spec.device).type == "cuda"
    nvml = _nvml_bytes() if on_cuda else None
    method = None
    used = None
    if nvml is not None:
        method, value = nvml
        used = value if method == "process" or nvml_before is None else value - nvml_before[1]
    sender.send(
        Memory(
            arm=arm,
            device=embedder.spec.device,
            host_peak_rss_bytes=host_peak_rss_bytes(),
            host_start_rss_bytes=before,
            device_peak_allocated_bytes=torch.cuda.max_memory_allocated() if on_cuda else None,
            device_peak_reserved_bytes=torch.cuda.max_memory_reserved() if on_cuda else None,
            nvml_used_bytes=used,
            nvml_method=method,
        )
    )
    sender.close()


def _nvml_bytes() -> tuple[str, int] | None:
    """Return ``(method, bytes)`` now in use: this process's, or else the whole device's.

    NVML numbers processes by the host's PID namespace; inside a container none matches, and only
    the device's total is left. None where NVML does not answer.
    """
    import pynvml  # noqa: PLC0415 - only where there is a GPU

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    try:
        handle = pynvml.nvmlDeviceGetHandleByUUID(_cuda_uuid())
        for process in pynvml.nvmlDeviceGetComputeRunningProcesses(handle):
            if process.pid == os.getpid() and process.usedGpuMemory is not None:
                return "process", int(process.usedGpuMemory)
        return "device difference", int(pynvml.nvmlDeviceGetMemoryInfo(handle).used)
    except pynvml.NVMLError:
        return None
    finally:
        pynvml.nvmlShutdown()


def _cuda_uuid() -> str:
    """Return NVML's name for torch's current device, which CUDA_VISIBLE_DEVICES renumbers."""
    return f"GPU-{torch.cuda.get_device_properties(torch.cuda.current_device()).uuid}"
