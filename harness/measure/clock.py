"""What holds the watch: the processor's counter, or a pair of events on a CUDA device."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

PERF_COUNTER = "perf_counter"
CUDA_EVENTS = "cuda events"

_CHAIN_S = 0.02
"""A chain of calls lasts so long that starting it and reading the clock are below a thousandth."""
_CHAINS = 3
"""At least so many chains are timed."""


def clock_of(device: str) -> str:
    """Name the clock that :func:`time_once` reads on a device."""
    return CUDA_EVENTS if torch.device(device).type == "cuda" else PERF_COUNTER


def synchronise(device: str) -> None:
    """Wait until the device has done all it was given, so that a clock read means something."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def time_once(work: Callable[[], object], device: str) -> float:
    """Return the seconds that ``work`` takes, the device synchronised before and after.

    On CUDA two events are recorded, so that the device's own clock counts. The second one waits for
    the whole device: what the work started on other streams is counted too.
    """
    if clock_of(device) == CUDA_EVENTS:
        return _time_by_events(work, device)
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def time_chains(work: Callable[[], object], device: str, *, seconds: float) -> tuple[float, ...]:
    """Return the seconds per call of ``work`` in each of several chains of calls.

    Calls of a chain follow each other without waiting for the device, so that starting them costs
    nothing. One call comes before, uncounted, and one chain that tells how many calls fill one.

    Parameters
    ----------
    seconds
        Chains are timed until they took this long together; there are three at least.
    """
    time_once(work, device)
    calls = max(1, round(_CHAIN_S / time_once(work, device)))

    def chain() -> None:
        for _ in range(calls):
            work()

    taken: list[float] = []
    while len(taken) < _CHAINS or sum(taken) < seconds:
        taken.append(time_once(chain, device))
    return tuple(each / calls for each in taken)


def _time_by_events(work: Callable[[], object], device: str) -> float:
    stream = torch.cuda.current_stream(device)
    start = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    end = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    synchronise(device)
    start.record(stream)
    work()
    synchronise(device)
    end.record(stream)
    end.synchronize()
    return float(start.elapsed_time(end)) / 1000  # milliseconds
