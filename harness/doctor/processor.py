"""The processor: cores that may be used, arithmetic that it has, and the dtype that suits it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn import functional as F

from harness.doctor.control_group import Limits
from harness.doctor.finding import Finding, fine

CPUINFO = Path("/proc/cpuinfo")
RELEVANT = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve", "bf16")
"""Arithmetic that decides how fast a model runs, as Linux names it on x86 and on ARM."""
NEVER = "never float16 on a CPU"

_ROUNDS = 20
_LIMIT_S = 0.4
# the product of a feed-forward block in small: 128 tokens, 1280 wide, twice that inside
_TOKENS, _WIDTH, _INNER = 128, 1280, 2560
# less is within what two runs of the same product differ by on a busy machine
_WORTHWHILE = 1.15


@dataclass(frozen=True, slots=True)
class Products:
    """Seconds that one matrix product takes in either dtype, the fastest of some rounds."""

    float32_s: float
    bfloat16_s: float

    @property
    def speedup(self) -> float:
        """How many times faster bfloat16 is."""
        return self.float32_s / self.bfloat16_s


def features_of(cpuinfo: str) -> tuple[str, ...]:
    r"""Return the relevant features that a ``/proc/cpuinfo`` lists for its first processor.

    Examples
    --------
    >>> features_of("processor : 0\nflags : fpu sse avx2 amx_bf16\n")
    ('avx2', 'amx_bf16')
    """
    for line in cpuinfo.splitlines():
        name, _, values = line.partition(":")
        if name.strip() in ("flags", "Features"):
            listed = set(values.split())
            return tuple(each for each in RELEVANT if each in listed)
    return ()


def read_features() -> tuple[str, ...]:
    """Return the relevant features; where the system lists none, what torch was dispatched to."""
    listed = features_of(CPUINFO.read_text(encoding="utf-8")) if CPUINFO.exists() else ()
    return listed or (torch.backends.cpu.get_cpu_capability(),)


def measure_products(clock: Callable[[], float] = time.perf_counter) -> Products:
    """Time one product in float32 and in bfloat16, in turn, after a warm-up of each.

    The fastest round counts: what else runs on the machine can only add to it. One thread, because
    several wait for the slowest of them, which on a busy machine is none of the product's doing.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _time_products(clock)
    finally:
        torch.set_num_threads(threads)


def examine_cores(name: str, usable: int, limits: Limits, features: tuple[str, ...]) -> Finding:
    """Say how many cores this process has, and what they can do.

    Parameters
    ----------
    usable
        Cores that the process may run on (its affinity).
    """
    quota = "" if limits.cpus is None else f", of which its control group allows {limits.cpus:g}"
    return fine(
        "processor",
        f"{name}: {usable} cores{quota}; {', '.join(features)}",
        details={"cores": usable, "cpu_quota": limits.cpus, "features": list(features)},
    )


def examine_dtype(products: Products) -> Finding:
    """Say which dtype is sensible on this processor, from a measurement on it."""
    speedup = products.speedup
    measured = f"a bfloat16 product is {speedup:.1f}× as fast as float32 here, measured"
    if speedup >= _WORTHWHILE:
        sensible = ["bfloat16", "float32"]
        found = f"{measured}: bfloat16, or float32 to compare with; {NEVER}"
    else:
        sensible = ["float32"]
        found = f"{measured}: float32; {NEVER}"
    return fine(
        "dtype on the CPU",
        found,
        details={"sensible": sensible, "bfloat16_speedup": round(speedup, 3)},
    )


def _time_products(clock: Callable[[], float]) -> Products:
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randn(_TOKENS, _WIDTH, generator=generator)
    weights = torch.randn(_INNER, _WIDTH, generator=generator)
    operands = [(tokens, weights), (tokens.bfloat16(), weights.bfloat16())]
    with torch.inference_mode():
        for left, right in operands:
            F.linear(left, right)
        seconds: list[list[float]] = [[], []]
        stop = clock() + _LIMIT_S
        for number in range(_ROUNDS):
            if number and clock() > stop:
                break  # a processor that emulates bfloat16 shows that in one round
            for (left, right), taken in zip(operands, seconds, strict=True):
                started = clock()
                F.linear(left, right)
                taken.append(clock() - started)
    return Products(*map(min, seconds))
