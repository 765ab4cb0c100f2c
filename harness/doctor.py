"""What works on this machine, what does not, and what to do about it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import psutil
import torch

from embedders import CHECKPOINTS, InputError, load
from harness import provenance

BYTES_PER_FLOAT32 = 4


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; ``remedy`` is empty where nothing is wrong."""

    subject: str
    works: bool
    found: str
    remedy: str = ""


def examine() -> list[Finding]:
    """Look at libraries, processor, GPU, NVML, bundled weights, hub settings and memory."""
    return [
        *_libraries(),
        _processor(),
        _cuda(),
        _nvml(),
        *_bundled_weights(),
        _hub(),
        _memory(),
    ]


def _libraries() -> Iterator[Finding]:
    for name in provenance.LIBRARIES:
        version = provenance.library_version(name)
        missing = version == provenance.NOT_INSTALLED
        remedy = f"pip install {name}" if missing else ""
        yield Finding(name, works=not missing, found=version, remedy=remedy)


def _processor() -> Finding:
    native = provenance.machine().bfloat16_cpu
    words = {
        True: "multiplies bfloat16 natively: bfloat16 and float32 are sensible",
        False: "has no bfloat16 arithmetic: use float32",
        None: "is of an unknown kind: time bfloat16 before you rely on it",
    }
    return Finding("processor", works=True, found=f"{words[native]}; never float16 on a CPU")


def _cuda() -> Finding:
    if torch.cuda.is_available():
        return Finding("CUDA", works=True, found=torch.cuda.get_device_name(0))
    return Finding(
        "CUDA",
        works=False,
        found="torch finds no device",
        remedy="needed for device memory only; install a CUDA build of torch and a driver",
    )


def _nvml() -> Finding:
    driver = provenance.nvidia_driver()
    if driver is None:
        remedy = "needed for device memory only; install the NVIDIA driver"
        return Finding("NVML", works=False, found="does not answer", remedy=remedy)
    return Finding("NVML", works=True, found=f"driver {driver}")


def _bundled_weights() -> Iterator[Finding]:
    for name, checkpoint in CHECKPOINTS.items():
        if checkpoint.bundled is None:
            continue
        try:
            width = load(name, device="cpu").embed(["MKTAYIAKQR"]).shape[1]
        except InputError as error:
            yield Finding(name, works=False, found=str(error), remedy="install again")
        else:
            yield Finding(name, works=True, found=f"embeds, {width} wide")


def _hub() -> Finding:
    from huggingface_hub import constants  # noqa: PLC0415 - heavy

    offline = constants.HF_HUB_OFFLINE
    token = "with" if os.environ.get("HF_TOKEN") else "without"
    found = (
        f"{'offline' if offline else 'online'}, {token} HF_TOKEN, cache {constants.HF_HUB_CACHE}"
    )
    remedy = "unset HF_HUB_OFFLINE, or put the weights into the cache" if offline else ""
    return Finding("model hub settings", works=not offline, found=found, remedy=remedy)


def _memory() -> Finding:
    free = psutil.virtual_memory().available
    fits = [
        name
        for name, checkpoint in CHECKPOINTS.items()
        if checkpoint.parameters * BYTES_PER_FLOAT32 < free
    ]
    return Finding(
        "host memory",
        works=bool(fits),
        found=f"{free / 2**30:.1f} GiB free; float32 weights that fit: {', '.join(fits)}",
        remedy="" if fits else "free some memory",
    )
