"""The CPU kernel of ``attention.cpp``: compiled once for this processor, checked, and called.

A compiled file is kept in the user's cache folder under a name that covers the source, the
compiler, its options, the processor's instruction set and torch's OpenMP library, so that a home
folder shared by unlike machines is safe.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import torch

from embedders.files import cache_folder

SOURCE = Path(__file__).with_name("attention.cpp")
OPTIONS = ("-std=c++17", "-O3", "-march=native", "-fopenmp", "-fPIC", "-shared")
COMPILE_LIMIT_S = 120.0
TOLERANCE = 1e-5
"""Largest absolute error of the check, whose values are of the order of 1."""

_DTYPES = {torch.float32: "attend_float32", torch.bfloat16: "attend_bfloat16"}


class KernelMissing(Exception):
    """There is no kernel here; the message ends with what to do."""


class Kernel:
    """The compiled functions, called on tensors."""

    def __init__(self, library: Path) -> None:
        loaded = ctypes.CDLL(str(library))
        self._functions = {}
        for dtype, name in _DTYPES.items():
            function = loaded[name]
            pointer, whole = ctypes.c_void_p, ctypes.c_int
            function.argtypes = [pointer, pointer, whole, whole, whole, *[pointer] * 3]
            function.restype = ctypes.c_int
            self._functions[dtype] = function

    def attend(
        self,
        qkv: torch.Tensor,
        starts: torch.Tensor,
        heads: int,
        cosine: torch.Tensor,
        sine: torch.Tensor,
    ) -> torch.Tensor:
        """Attend within each sequence.

        Parameters
        ----------
        qkv
            float32 or bfloat16 ``(t, 3 · heads · d)``, not yet turned.
        starts
            int32 ``(n + 1,)``.
        cosine, sine
            float32 ``(at least the longest sequence, d / 2)``.

        Returns
        -------
        torch.Tensor
            ``(t, heads · d)`` of the dtype of ``qkv``.

        Raises
        ------
        ValueError
            If a tensor has another dtype, shape or place than said, which the kernel would not
            survive.
        MemoryError
            If its scratch memory cannot be had.
        """
        width, odd = divmod(qkv.shape[1], 3 * heads)
        longest = int(starts.diff().max())
        if (
            odd
            or width % 2
            or starts.dtype is not torch.int32
            or int(starts[0]) != 0
            or int(starts[-1]) != len(qkv)
            or int(starts.diff().min()) < 0
            or any(each.dtype is not torch.float32 for each in (cosine, sine))
            or any(each.shape[1] != width // 2 or len(each) < longest for each in (cosine, sine))
            or any(each.device.type != "cpu" for each in (qkv, starts, cosine, sine))
        ):
            raise ValueError(
                f"queries, keys and values {tuple(qkv.shape)} for {heads} heads, starts "
                f"{starts.dtype} {tuple(starts.shape)} and tables {tuple(cosine.shape)} do not fit"
            )
        given = [each.contiguous() for each in (qkv, starts, cosine, sine)]
        attended = qkv.new_empty((len(qkv), heads * width))
        failed = self._functions[qkv.dtype](
            given[0].data_ptr(),
            given[1].data_ptr(),
            len(starts) - 1,
            heads,
            width,
            given[2].data_ptr(),
            given[3].data_ptr(),
            attended.data_ptr(),
        )
        if failed:
            raise MemoryError(f"attention over {longest:,} tokens: can't allocate memory")
        return attended


@cache
def open_kernel() -> Kernel:
    """Compile or find the kernel, check it against PyTorch, and return it; once a process.

    Raises
    ------
    KernelMissing
        If there is no compiler, it fails, or what it made computes something else.
    """
    compiler = _find_compiler()
    command = [compiler, *OPTIONS, str(SOURCE), *_openmp_of_torch()]
    library = cache_folder() / "kernels" / f"attention-{_digest(command)}.so"
    if not library.exists():
        _compile(command, library)
    try:
        kernel = Kernel(library)
    except (OSError, AttributeError) as error:
        raise KernelMissing(f"{library} cannot be loaded ({error}); delete it") from None
    _check(kernel, library)
    return kernel


def _find_compiler() -> str:
    if sys.platform != "linux":
        raise KernelMissing(
            "the CPU kernel is built on Linux only; choose attention 'sdpa' to say so yourself"
        )
    names = [os.environ["CXX"]] if os.environ.get("CXX") else ["g++", "c++", "clang++"]
    for name in names:
        found = shutil.which(name)
        if found:
            return found
    raise KernelMissing(
        f"there is no C++ compiler ({', '.join(names)}) to build the CPU kernel with; install g++"
    )


def _openmp_of_torch() -> list[str]:
    """Return torch's own OpenMP library, for the linker: two thread pools would fight for cores."""
    folder = Path(torch.__file__).parent / "lib"
    return [str(path) for path in sorted(folder.glob("libgomp*.so*"))]


def _digest(command: list[str]) -> str:
    version = _run([command[0], "--version"])
    processor = platform.processor() or platform.machine()
    flags = Path("/proc/cpuinfo")
    if flags.exists():
        lines = flags.read_text(encoding="utf-8", errors="replace").splitlines()
        wanted = ("flags", "Features", "model name")
        processor += "".join(sorted({line for line in lines if line.startswith(wanted)}))
    parts = [SOURCE.read_bytes(), *(text.encode() for text in (*command, version, processor))]
    whole = hashlib.sha256()
    for part in parts:
        whole.update(hashlib.sha256(part).digest())
    return whole.hexdigest()[:24]


def _compile(command: list[str], library: Path) -> None:
    """Compile under another name, then rename: a reader finds a whole file or none."""
    try:
        library.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=library.parent) as scratch:
            made = Path(scratch) / library.name
            _run([*command, "-o", str(made)])
            made.replace(library)
    except OSError as error:
        raise KernelMissing(
            f"{library.parent} cannot be written to ({error.strerror}); set XDG_CACHE_HOME to a "
            "folder that can"
        ) from None


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - the compiler of this machine on a file of ours
            command, capture_output=True, text=True, timeout=COMPILE_LIMIT_S, check=True
        )
    except subprocess.CalledProcessError as error:
        said = next((line for line in error.stderr.splitlines() if "error" in line), "")
        raise KernelMissing(
            f"{command[0]} cannot build the CPU kernel ({said or error}); install a current g++"
        ) from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise KernelMissing(f"{command[0]} does not work ({error}); install g++") from None
    return done.stdout


def _check(kernel: Kernel, library: Path) -> None:
    """Hold the kernel to PyTorch's attention in float64 on a small batch, position 0 everywhere."""
    generator = torch.Generator().manual_seed(0)
    heads, width, lengths = 3, 24, (1, 37, 16)
    qkv = torch.randn((sum(lengths), 3 * heads * width), generator=generator)
    starts = torch.tensor([0, *lengths]).cumsum(0).int()
    still = torch.ones((max(lengths), width // 2)), torch.zeros((max(lengths), width // 2))
    found = kernel.attend(qkv, starts, heads, *still)
    for first, last in zip(starts.tolist(), starts.tolist()[1:], strict=False):
        part = qkv[first:last].double().view(-1, 3, heads, width).permute(1, 2, 0, 3)
        expected = torch.nn.functional.scaled_dot_product_attention(*part).transpose(0, 1)
        worst = float((found[first:last] - expected.flatten(1)).abs().max())
        if not worst <= TOLERANCE:
            raise KernelMissing(
                f"{library} computes something else (off by {worst:g}); delete it, and use another "
                "compiler if that does not help"
            )
