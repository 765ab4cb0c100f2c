"""Where a result comes from: code, machine, libraries and inputs."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import psutil
import torch

from embedders.files import sha256_of

ROOT = Path(__file__).resolve().parent.parent
"""The folder that holds the packages: a checkout, or where the wheel was installed."""
NOT_INSTALLED = "not installed"
PACKAGES = ("embedders", "classifier", "harness", "benchmarks")
LIBRARIES = (
    "torch",
    "transformers",
    "fair-esm",
    "biopython",
    "scikit-learn",
    "skorch",
    "numpy",
    "pandas",
    "pytest",
    "pytest-benchmark",
    "nvidia-ml-py",
    "peft",
    "ray",
)


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine that measured."""

    system: str
    processor: str
    cores: int
    memory_bytes: int
    torch_threads: int
    bfloat16_cpu: bool | None
    accelerator: str | None
    accelerator_driver: str | None
    tf32_matmul: bool

    def sentence(self) -> str:
        """Return one line for tables and reports."""
        device = self.accelerator or "no GPU"
        memory_gib = self.memory_bytes / 2**30
        return (
            f"{self.processor}, {self.cores} cores, {memory_gib:.0f} GiB, {device}, {self.system}"
        )


@dataclass(frozen=True, slots=True)
class Provenance:
    """Enough to tell two runs apart and to make one again.

    ``code_sha256`` covers every Python source of this project's packages as they were imported;
    ``commit`` is None outside a checkout, and ``dirty`` tells whether files differed from it.
    ``inputs`` holds ``(path, sha256)`` of the migration file and of every data file.
    """

    started: str
    command: str
    commit: str | None
    dirty: bool | None
    code_sha256: str
    python: str
    libraries: tuple[tuple[str, str], ...]
    machine: Machine
    inputs: tuple[tuple[str, str], ...]


def collect(command: str, inputs: tuple[Path, ...], started: datetime) -> Provenance:
    """Describe this process, its machine and its input files.

    Parameters
    ----------
    command
        The command line to repeat the run by.
    inputs
        Files to hash.
    started
        When the run began, with a time zone.
    """
    commit = _git("rev-parse", "HEAD")
    status = _git("status", "--porcelain")
    return Provenance(
        started=started.astimezone(UTC).isoformat(timespec="seconds"),
        command=command,
        commit=commit,
        dirty=None if status is None else bool(status),
        code_sha256=_code_sha256(),
        python=platform.python_version(),
        libraries=tuple((name, library_version(name)) for name in LIBRARIES),
        machine=machine(),
        inputs=tuple((portable(path), sha256(path)) for path in inputs),
    )


def machine() -> Machine:
    """Describe the machine this process runs on."""
    cuda = torch.cuda.is_available()
    return Machine(
        system=f"{platform.system()} {platform.machine()}",
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else _cores(),
        memory_bytes=psutil.virtual_memory().total,
        torch_threads=torch.get_num_threads(),
        bfloat16_cpu=_bfloat16_cpu(),
        accelerator=torch.cuda.get_device_name(0) if cuda else None,
        accelerator_driver=nvidia_driver() if cuda else None,
        tf32_matmul=torch.backends.cuda.matmul.allow_tf32,
    )


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, as 64 hex digits."""
    return sha256_of(path)


def portable(path: Path) -> str:
    """Name a file as it is called on any machine: by its place in the project, or its last part.

    Examples
    --------
    >>> portable(Path(__file__))
    'harness/provenance.py'
    >>> portable(Path("/anywhere/proteins.faa"))
    'proteins.faa'
    """
    resolved = path.resolve()
    inside = resolved.is_relative_to(ROOT)
    return resolved.relative_to(ROOT).as_posix() if inside else path.name


def _code_sha256() -> str:
    digest = hashlib.sha256()
    for package in PACKAGES:
        for source in sorted((ROOT / package).rglob("*.py")):
            digest.update(source.relative_to(ROOT).as_posix().encode())
            digest.update(hashlib.sha256(source.read_bytes()).digest())
    return digest.hexdigest()


def library_version(distribution: str) -> str:
    """Return an installed version, or ``NOT_INSTALLED``."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return NOT_INSTALLED


def _git(*arguments: str) -> str | None:
    """Ask git about the project's own checkout; None where there is none."""
    if not (ROOT / ".git").exists():
        return None
    try:
        answer = subprocess.run(  # noqa: S603 - fixed arguments, no shell
            ["git", "-C", str(ROOT), *arguments],  # noqa: S607 - the user's own git, of the PATH
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    named = processor_of(cpuinfo.read_text(encoding="utf-8")) if cpuinfo.exists() else None
    return named or platform.processor() or platform.machine()


def processor_of(cpuinfo: str) -> str | None:
    r"""Name the first processor of a ``/proc/cpuinfo``; None where it has no name.

    Family and model belong to it: virtual machines hide the name, so that processors of which one
    is twice as fast as the other are both called ``AMD EPYC``.

    >>> processor_of("cpu family : 26\nmodel : 2\nmodel name : AMD EPYC\n\nmodel name : x")
    'AMD EPYC (family 26 model 2)'
    >>> processor_of("model name : one without a family")
    'one without a family'
    """
    first, _, _ = cpuinfo.partition("\n\n")
    pairs = (line.partition(":") for line in first.splitlines())
    fields = {key.strip(): value.strip() for key, _, value in pairs}
    name = fields.get("model name")
    if name and "cpu family" in fields and "model" in fields:
        name += f" (family {fields['cpu family']} model {fields['model']})"
    return name


def _bfloat16_cpu() -> bool | None:
    """Tell whether the processor multiplies bfloat16 natively; None where that is not known."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return None
    text = cpuinfo.read_text(encoding="utf-8")
    return "avx512_bf16" in text or "amx_bf16" in text


def _cores() -> int:
    return psutil.cpu_count(logical=True) or 1


def nvidia_driver() -> str | None:
    """Return the driver's version, or None where NVML does not answer."""
    import pynvml  # noqa: PLC0415 - only where there is a GPU

    try:
        pynvml.nvmlInit()
        try:
            return str(pynvml.nvmlSystemGetDriverVersion())
        finally:
            pynvml.nvmlShutdown()
    except pynvml.NVMLError:
        return None
