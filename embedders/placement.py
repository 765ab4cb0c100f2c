"""Where and in which numbers to compute: asked for by name, never changed silently."""

from __future__ import annotations

import torch

from embedders.errors import UnknownName, UnsupportedChoice
from embedders.runtimes import Placement, Runtime

_DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def choose_placement(how: Runtime, device: str, dtype: str, attention: str | None) -> Placement:
    """Check the choices against each other and against this machine.

    Raises
    ------
    UnknownName
        If the dtype or the attention is in no table.
    UnsupportedChoice
        If the device is not there, or the choices do not go together.
    """
    there = choose_device(device)
    return Placement(
        device=there,
        dtype=choose_dtype(dtype, there),
        attention=_choose_attention(how, attention),
    )


def choose_device(wanted: str) -> torch.device:
    """Return the device of that name; ``auto`` is a GPU if torch finds one, else the CPU.

    Raises
    ------
    UnsupportedChoice
        If there is no such device.
    """
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, index = wanted.partition(":")
    if kind not in ("cpu", "cuda") or (index and not index.isdecimal()):
        raise UnsupportedChoice(f"device must be auto, cpu, cuda or cuda:N, not {wanted!r}")
    if kind == "cpu":
        return torch.device("cpu")
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(index or 0) >= found:
        raise UnsupportedChoice(
            f"device {wanted!r} was asked for, but torch finds {found} CUDA devices; "
            "choose 'cpu' or 'auto'"
        )
    return torch.device(wanted)


def choose_dtype(wanted: str, device: torch.device) -> torch.dtype:
    """Return the dtype of that name.

    Raises
    ------
    UnknownName
        If there is none.
    UnsupportedChoice
        For float16 on a CPU.
    """
    if wanted not in _DTYPES:
        raise UnknownName("dtype", wanted, _DTYPES)
    if wanted == "float16" and device.type == "cpu":
        raise UnsupportedChoice(
            "float16 on a CPU is refused: its matrix products are emulated, some 400 times "
            "slower than bfloat16; choose bfloat16 or float32"
        )
    return _DTYPES[wanted]


def _choose_attention(how: Runtime, wanted: str | None) -> str | None:
    if wanted is None:
        return None  # the runtime takes the best that this placement has
    if not how.attentions:
        raise UnsupportedChoice(
            f"runtime {how.name!r} has one attention of its own; leave attention={wanted!r} out"
        )
    if wanted not in how.attentions:
        raise UnknownName("attention", wanted, how.attentions)
    return wanted
