"""Loading and embedding in this process, and what memory each of the two took.

Only for a process that does nothing else: :mod:`harness.measure.memory` starts it.
"""

from __future__ import annotations

import gc
import os
import resource
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil
import torch

from embedders import Embedder
from harness.costs import MemorySplit
from harness.measure import nvml
from harness.results import Memory

Figures = tuple[Memory, MemorySplit]


@dataclass(frozen=True, slots=True)
class Imports:
    """Modules that loading and embedding imported, in their order."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Task:
    """What to load and to embed, and which modules to import before."""

    load: Callable[[], Embedder]
    sequences: tuple[str, ...]
    arm: str
    tokens_per_batch: int
    imports: tuple[str, ...] = ()

    def after(self, imports: Imports) -> Task:
        """Return the same task with these imports before it."""
        return replace(self, imports=imports.names)


@dataclass(frozen=True, slots=True)
class Resident:
    """Resident bytes of this process, and their peak; ``forgotten``: a new peak begins here."""

    now: int
    peak: int
    forgotten: bool


@dataclass(frozen=True, slots=True)
class Allocator:
    """Bytes of torch's CUDA allocator, and their peaks since the last reading."""

    allocated: int
    peak_allocated: int
    reserved: int
    peak_reserved: int


@dataclass(frozen=True, slots=True)
class Used:
    """Bytes on a GPU as NVML counts them; of this process None where NVML cannot see it.

    NVML numbers processes by the host's PID namespace: inside a container none matches.
    """

    process: int | None
    device: int


@dataclass(frozen=True, slots=True)
class Stage:
    """All readings at one moment; None for what there is no GPU for."""

    resident: Resident
    allocator: Allocator | None = None
    used: Used | None = None


def measure_here(task: Task) -> Figures:
    """Do a task in this process."""
    return _embed(task, *_load(task))


def measure_or_list_imports(task: Task) -> Figures | Imports:
    """Do a task in this process on CUDA; on a CPU, find out what it imports instead."""
    known = set(sys.modules)
    embedder, start = _load(task)
    if torch.device(embedder.spec.device).type == "cuda":
        return _embed(task, embedder, start)
    embedder.embed(task.sequences[:1], tokens_per_batch=task.tokens_per_batch)
    return Imports(tuple(_files(name for name in sys.modules if name not in known)))


def summarise(arm: str, device: str, start: Stage, loaded: Stage, done: Stage) -> Figures:
    """Turn readings before loading, after it and after embedding into peaks and their parts."""
    stages = (start, loaded, done)
    allocators = [each.allocator for each in stages if each.allocator is not None]
    method, used = _used_by_process(start.used, done.used)
    memory = Memory(
        arm=arm,
        device=device,
        host_peak_rss_bytes=max(each.resident.peak for each in stages),
        host_start_rss_bytes=start.resident.peak,
        device_peak_allocated_bytes=max((each.peak_allocated for each in allocators), default=None),
        device_peak_reserved_bytes=max((each.peak_reserved for each in allocators), default=None),
        nvml_used_bytes=used,
        nvml_method=method,
    )
    if loaded.allocator is None or done.allocator is None:
        return memory, _split_host(arm, device, start.resident, loaded.resident, done.resident)
    return memory, _split_device(arm, device, loaded.allocator, done.allocator, used)


def host_peak_rss_bytes() -> int:
    """Return this process's own peak resident set, in bytes.

    On Linux this is VmHWM: ``ru_maxrss`` survives ``exec`` there, so a child would report its
    parent's peak. On macOS ``ru_maxrss`` is already in bytes.
    """
    high_water = high_water_bytes("self")
    if high_water is not None:
        return high_water
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def high_water_bytes(process: int | str) -> int | None:
    """Return the peak resident set of a process by Linux' count (VmHWM), None elsewhere."""
    status = Path(f"/proc/{process}/status")
    if status.exists():
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return None


def read_resident() -> Resident:
    """Read this process's resident set and its peak, and begin a new peak where that can be.

    Linux lets a process set VmHWM to what is resident now (proc(5), ``clear_refs``).
    """
    peak = host_peak_rss_bytes()
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        forgotten = False
    else:
        forgotten = True
    return Resident(int(psutil.Process().memory_info().rss), peak, forgotten)


def read_used(device: torch.device) -> Used | None:
    """Ask NVML what is used on a GPU; None where it does not answer."""
    return nvml.ask(device, _used)


def _load(task: Task) -> tuple[Embedder, Stage]:
    for name in task.imports:
        # one that cannot be imported by itself is imported by the loading, and counted there
        with suppress(ImportError):
            import_module(name)
    resident = read_resident()
    # before the first allocation, because that makes the context; of all GPUs, because the
    # embedder's own is not known yet
    used = {f"cuda:{index}": read_used(torch.device("cuda", index)) for index in _gpus()}
    embedder = task.load()
    gc.collect()
    device = torch.device(embedder.spec.device)
    return embedder, Stage(resident, used=used.get(_name(device)))


def _embed(task: Task, embedder: Embedder, start: Stage) -> Figures:
    device = torch.device(embedder.spec.device)
    loaded = _read(device)
    embedder.embed(task.sequences, tokens_per_batch=task.tokens_per_batch)
    return summarise(task.arm, embedder.spec.device, start, loaded, _read(device))


def _read(device: torch.device) -> Stage:
    if device.type != "cuda":
        return Stage(read_resident())
    torch.cuda.synchronize(device)
    allocator = Allocator(
        allocated=torch.cuda.memory_allocated(device),
        peak_allocated=torch.cuda.max_memory_allocated(device),
        reserved=torch.cuda.memory_reserved(device),
        peak_reserved=torch.cuda.max_memory_reserved(device),
    )
    torch.cuda.reset_peak_memory_stats(device)
    return Stage(read_resident(), allocator, read_used(device))


def _used(handle: Any) -> Used:  # noqa: ANN401 - pynvml has no types
    import pynvml  # noqa: PLC0415 - only where there is a GPU

    mine = [
        int(each.usedGpuMemory)
        for each in pynvml.nvmlDeviceGetComputeRunningProcesses(handle)
        if each.pid == os.getpid() and each.usedGpuMemory is not None
    ]
    device = int(pynvml.nvmlDeviceGetMemoryInfo(handle).used)
    return Used(process=mine[0] if mine else None, device=device)


def _used_by_process(before: Used | None, after: Used | None) -> tuple[str | None, int | None]:
    """Return how NVML was read and what this process uses: itself, or the device's growth."""
    if after is None:
        return None, None
    if after.process is not None:
        return "process", after.process
    if before is None:
        return None, None
    return "device difference", after.device - before.device


def _split_device(
    arm: str, device: str, loaded: Allocator, done: Allocator, used: int | None
) -> MemorySplit:
    return _split(
        arm,
        device,
        weights=loaded.allocated,
        activations=done.peak_allocated - loaded.allocated,
        allocator=done.peak_reserved - done.peak_allocated,
        context=None if used is None else used - done.reserved,
    )


def _split_host(
    arm: str, device: str, start: Resident, loaded: Resident, done: Resident
) -> MemorySplit:
    # below the peak of loading, that of embedding shows only if a new one could be begun
    seen = loaded.forgotten or done.peak > loaded.peak
    # no allocator: what the C library keeps for itself cannot be told from what it handed out
    return _split(
        arm,
        device,
        weights=loaded.now - start.now,
        activations=done.peak - loaded.now if seen else None,
        context=start.now,
    )


def _split(arm: str, device: str, **parts: int | None) -> MemorySplit:
    # below zero: pages were swapped out, or another process gave memory back to the device
    known = {name: value for name, value in parts.items() if value is not None and value >= 0}
    return MemorySplit(
        arm=arm,
        device=device,
        weights_bytes=known.get("weights"),
        activations_bytes=known.get("activations"),
        allocator_bytes=known.get("allocator"),
        context_bytes=known.get("context"),
        peak_bytes=sum(known.values()) if len(known) == len(parts) else None,
    )


def _gpus() -> range:
    return range(torch.cuda.device_count() if torch.cuda.is_available() else 0)


def _name(device: torch.device) -> str:
    if device.type == "cuda" and device.index is None:
        return f"cuda:{torch.cuda.current_device()}"
    return str(device)


def _files(names: Iterable[str]) -> Iterator[str]:
    """Yield the modules that were read from a file under their own name."""
    for name in names:
        found = getattr(sys.modules[name], "__spec__", None)
        if found is not None and found.name == name and found.has_location:
            yield name
