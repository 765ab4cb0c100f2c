"""What the machine can do at best, measured now: matrix products, and memory traffic."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch

from embedders import InputError
from embedders.placement import choose_device, choose_dtype
from harness.costs import Bandwidth, Ceiling
from harness.measure.clock import time_chains

_SEED = 0


def gemm_ceiling(
    device: str,
    dtype: str,
    *,
    sizes: Sequence[int] = (1024, 2048, 4096),
    seconds: float = 0.5,
) -> Ceiling:
    """Time large square matrix products and return the fastest.

    ``2·n³`` FLOPs for a product of side ``n``. Operands are normal draws, because a device that is
    limited by its power multiplies zeros faster than data.

    Parameters
    ----------
    device, dtype
        As :func:`embedders.load` takes them.
    sizes
        Sides to try. A large GPU may need 8192 to be filled.
    seconds
        How long each size is timed at least.

    Raises
    ------
    InputError
        If there is no such device or dtype, float16 is asked of a CPU, or no size is given.
    """
    place = choose_device(device)
    number = choose_dtype(dtype, place)
    if not sizes or min(sizes) < 1:
        raise InputError(f"sizes of the matrix products must be at least 1, not {list(sizes)}")
    timed = {size: _time_product(size, place, number, seconds) for size in sizes}
    speed = {size: 2 * size**3 / min(taken) for size, taken in timed.items()}
    best = max(speed, key=lambda size: speed[size])
    tensor_float = place.type == "cuda" and number == torch.float32
    return Ceiling(
        device=str(place),
        dtype=dtype,
        flops_per_s=speed[best],
        size=best,
        seconds=timed[best],
        tf32=torch.backends.cuda.matmul.allow_tf32 if tensor_float else None,
    )


def bandwidth_ceiling(
    device: str, *, array_bytes: int = 256 * 2**20, seconds: float = 0.5
) -> Bandwidth:
    """Time the triad ``a = b + s·c`` on arrays that no cache holds.

    Two arrays are read and one is written, which is what is counted (McCalpin's STREAM, which also
    asks for arrays of at least four times the last cache).

    Parameters
    ----------
    array_bytes
        Of each of the three float32 arrays.
    seconds
        How long it is timed at least.

    Raises
    ------
    InputError
        If there is no such device, or an array would hold nothing.
    """
    place = choose_device(device)
    numbers = array_bytes // torch.float32.itemsize
    if numbers < 1:
        raise InputError(f"array_bytes must hold at least one float32, not {array_bytes} bytes")
    a, b, c = (torch.full((numbers,), value, device=place) for value in (0.0, 1.0, 2.0))
    taken = time_chains(partial(torch.add, b, c, alpha=3.0, out=a), str(place), seconds=seconds)
    held = numbers * torch.float32.itemsize
    return Bandwidth(
        device=str(place), bytes_per_s=3 * held / min(taken), array_bytes=held, seconds=taken
    )


def _time_product(
    size: int, place: torch.device, number: torch.dtype, seconds: float
) -> tuple[float, ...]:
    draw = torch.Generator(device=place).manual_seed(_SEED)
    left, right = (
        torch.randn(size, size, generator=draw, device=place).to(number) for _ in range(2)
    )
    product = torch.empty_like(left)
    return time_chains(partial(torch.mm, left, right, out=product), str(place), seconds=seconds)
