"""GPUs: what torch finds, what the driver says, and whether the two fit together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from harness.doctor.finding import Finding, fine, lacking
from harness.doctor.sizes import size

# bfloat16 arithmetic came with compute capability 8.0 (Ampere)
_BFLOAT16 = (8, 0)


@dataclass(frozen=True, slots=True)
class Gpu:
    """One CUDA device as torch numbers it."""

    index: int
    name: str
    capability: tuple[int, int]
    free_bytes: int
    total_bytes: int

    @property
    def bfloat16(self) -> bool:
        """Tell whether the device multiplies bfloat16 itself."""
        return self.capability >= _BFLOAT16


@dataclass(frozen=True, slots=True)
class Nvml:
    """What the driver's own library says: its version, the newest CUDA it runs, its devices."""

    driver: str
    cuda: tuple[int, int]
    devices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Graphics:
    """What was found: the CUDA release torch was built for (None: for CPUs only), and devices.

    ``fault`` is what CUDA answered where it has devices but cannot use one.
    """

    build: str | None
    gpus: tuple[Gpu, ...] = ()
    nvml: Nvml | None = None
    fault: str = ""


def look() -> Graphics:
    """Ask torch and NVML; the first question to a device makes a context on it."""
    nvml = _ask_nvml()
    gpus: list[Gpu] = []
    try:
        for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
            free, total = torch.cuda.mem_get_info(index)
            name = torch.cuda.get_device_name(index)
            gpus.append(Gpu(index, name, torch.cuda.get_device_capability(index), free, total))
    except RuntimeError as error:  # a device in exclusive use, without memory or fallen off its bus
        fault = str(error).partition("\n")[0]
        return Graphics(torch.version.cuda, tuple(gpus), nvml, fault)
    return Graphics(torch.version.cuda, tuple(gpus), nvml)


def has(graphics: Graphics, device: torch.device) -> bool:
    """Tell whether a device is there; the CPU always is."""
    return device.type == "cpu" or (device.index or 0) < len(graphics.gpus)


def examine(graphics: Graphics, *, reasons: Sequence[str] = (), index: int = 0) -> list[Finding]:
    """Say what there is of CUDA, of every device and of NVML.

    Parameters
    ----------
    reasons
        What asks for CUDA, in the words of the migration file; without any it is not needed.
    index
        The number of the device that is asked for.
    """
    return [_cuda(graphics, reasons, index), *_devices(graphics), _nvml(graphics.nvml)]


def _cuda(graphics: Graphics, reasons: Sequence[str], index: int) -> Finding:
    details = {"build": graphics.build, "devices": len(graphics.gpus), "asked_by": list(reasons)}
    asked = f"; asked for by {' and '.join(reasons)}" if reasons else ""
    if len(graphics.gpus) > index or (graphics.gpus and not reasons):
        found = f"torch for CUDA {graphics.build} finds {len(graphics.gpus)}{asked}"
        return fine("CUDA", found, needed=bool(reasons), details=details)
    if graphics.gpus:
        found = f"torch finds {len(graphics.gpus)} devices and no cuda:{index}"
        remedy = f"ask for one from cuda:0 to cuda:{len(graphics.gpus) - 1}"
    else:
        found, remedy = _why_none(graphics)
    if not reasons:
        found += "; only needed to measure on a GPU"
    return lacking("CUDA", f"{found}{asked}", remedy, needed=bool(reasons), details=details)


def _why_none(graphics: Graphics) -> tuple[str, str]:
    nvml = graphics.nvml
    seen = "" if nvml is None else f", though the driver sees {', '.join(nvml.devices) or 'none'}"
    if graphics.build is None:
        return (
            f"this torch is built for CPUs only{seen}",
            "install the CUDA build of torch that suits your driver",
        )
    if graphics.fault:
        return f"the device cannot be used ({graphics.fault})", "end what else uses it"
    if nvml is None:
        return (
            f"torch is built for CUDA {graphics.build}, but no NVIDIA driver answers",
            "install the NVIDIA driver, or start the container with its GPUs",
        )
    if not runs(nvml.cuda, graphics.build):
        newest = ".".join(map(str, nvml.cuda))
        return (
            f"torch is built for CUDA {graphics.build}, but driver {nvml.driver} runs CUDA "
            f"{newest} at most",
            f"update the driver, or install torch built for CUDA {nvml.cuda[0]}",
        )
    return f"torch finds no device{seen}", "look at CUDA_VISIBLE_DEVICES"


def runs(newest: tuple[int, int], build: str) -> bool:
    """Tell whether a driver runs what was built for a CUDA release.

    Within one major release any minor one will do (NVIDIA's "minor version compatibility", since
    CUDA 11), and newer drivers run older releases.

    Examples
    --------
    >>> runs((12, 2), "12.8"), runs((12, 2), "13.0")
    (True, False)
    """
    return int(build.partition(".")[0]) <= newest[0]


def _devices(graphics: Graphics) -> Iterator[Finding]:
    for gpu in graphics.gpus:
        capability = ".".join(map(str, gpu.capability))
        dtype = (
            "multiplies bfloat16: that, or float32 to compare with"
            if gpu.bfloat16
            else "no bfloat16 arithmetic: float32, for float16 may overflow"
        )
        yield fine(
            f"cuda:{gpu.index}",
            f"{gpu.name}, capability {capability}, {size(gpu.free_bytes)} of "
            f"{size(gpu.total_bytes)} free; {dtype}",
            details={
                "name": gpu.name,
                "capability": list(gpu.capability),
                "free_bytes": gpu.free_bytes,
                "total_bytes": gpu.total_bytes,
                "sensible": ["bfloat16", "float32"] if gpu.bfloat16 else ["float32"],
            },
        )


def _nvml(nvml: Nvml | None) -> Finding:
    if nvml is None:
        return lacking(
            "NVML",
            "does not answer; only needed to measure on a GPU",
            "install its driver",
            needed=False,
        )
    newest = ".".join(map(str, nvml.cuda))
    return fine(
        "NVML",
        f"driver {nvml.driver}, which runs CUDA up to {newest}",
        details={"driver": nvml.driver, "cuda": newest, "devices": list(nvml.devices)},
    )


def _ask_nvml() -> Nvml | None:
    try:
        import pynvml  # noqa: PLC0415 - only here, and a library that may be missing
    except ImportError:
        return None  # told among the libraries
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    try:
        newest = int(pynvml.nvmlSystemGetCudaDriverVersion_v2())
        handles = map(pynvml.nvmlDeviceGetHandleByIndex, range(pynvml.nvmlDeviceGetCount()))
        return Nvml(
            driver=str(pynvml.nvmlSystemGetDriverVersion()),
            # 12040 is 12.4
            cuda=(newest // 1000, newest % 1000 // 10),
            devices=tuple(str(pynvml.nvmlDeviceGetName(handle)) for handle in handles),
        )
    except pynvml.NVMLError:
        return None
    finally:
        pynvml.nvmlShutdown()
