"""Where to compute, on how many cores, and under which seed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from classifier.errors import ClassifierError


def checked_device(name: str) -> torch.device:
    """Return the device of that name.

    Raises
    ------
    ClassifierError
        If torch knows no such device or this machine has none; never another one instead.
    """
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ClassifierError(
            f"device {name!r} cannot be used here: {reason}; try 'cpu'"
        ) from error
    return device


@contextmanager
def cpu_threads(count: int) -> Iterator[None]:
    """Use so many threads within one operation on the CPU, for the body alone."""
    if count < 1:
        raise ClassifierError(f"threads must be at least 1, not {count}")
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def own_randomness(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch for the body alone and put the global state back afterwards."""
    on_gpu = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if on_gpu else []):
        torch.default_generator.manual_seed(seed)
        if on_gpu:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield
