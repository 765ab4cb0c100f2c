"""The one place where a PyTorch file is opened: tensors and plain values, never code.

A ``.pt`` or ``.bin`` file is a pickle, and a pickle can run anything. ``torch.load`` with
``weights_only=True`` takes a short list of harmless types instead. Before torch 2.6 that list
could be escaped (CVE-2025-32434), so an older torch is refused rather than trusted.
"""

from __future__ import annotations

import pickle
import re
import struct
from pathlib import Path

import torch
from packaging.version import Version

from embedders.errors import InputError, UnsupportedChoice

SAFE_SINCE = Version("2.6")
_ZIP_MAGIC = b"PK"
_FOREIGN_NAME = re.compile(r"GLOBAL ([\w.]+)")
# what torch.load and its restricted unpickler raise on damaged or foreign bytes
_FAILURES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)


class NotPlain(InputError):
    """A file that cannot be read as tensors and plain values; ``reason`` is one line."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: cannot be read as tensors and plain values ({reason})")
        self.reason = reason


def load_plain(path: Path) -> object:
    """Read a PyTorch file; tensors stay mapped to it where its form allows.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    NotPlain
        If it is damaged, or holds anything but tensors and plain values.
    UnsupportedChoice
        If this torch is older than 2.6.
    """
    check_torch(torch.__version__)
    try:
        with path.open("rb") as file:
            zipped = file.read(len(_ZIP_MAGIC)) == _ZIP_MAGIC
        # files from before torch 1.6 are no archives and cannot be mapped
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except FileNotFoundError:
        raise
    except pickle.UnpicklingError as error:
        # torch's own words advise to load without the restriction
        named = _FOREIGN_NAME.search(str(error))
        what = f"it names {named[1]}, which is not run" if named else "foreign or damaged content"
        raise NotPlain(path, what) from error
    except _FAILURES as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise NotPlain(path, reason) from error


def check_torch(version: str) -> None:
    """Refuse a torch whose restricted unpickler can be escaped.

    Raises
    ------
    UnsupportedChoice
        If ``version`` is older than 2.6.
    """
    if Version(version).release < SAFE_SINCE.release:
        raise UnsupportedChoice(
            f"torch {version} can be made to run code by a weight file in spite of weights_only "
            f"(CVE-2025-32434); install torch {SAFE_SINCE} or newer"
        )


def is_plain(tensor: torch.Tensor) -> bool:
    """Tell whether a tensor holds floating numbers here, each in bytes of its own.

    A file may also name sparse or meta tensors, or view a few bytes as a matrix of any size
    (strides of 0), which would fill the memory when it is first computed with.
    """
    return (
        tensor.is_floating_point()
        and tensor.layout is torch.strided
        and tensor.device.type == "cpu"
        and tensor.untyped_storage().nbytes() >= tensor.numel() * tensor.element_size()
    )
