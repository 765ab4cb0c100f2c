"""What a container or a job scheduler allows this process: Linux control groups, v1 and v2."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ROOT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")

# v1 writes "no limit" as the largest multiple of a page below 2^63
_NO_LIMIT_BYTES = 1 << 60


@dataclass(frozen=True, slots=True)
class Limits:
    """The tightest limits on this process; None where there is none.

    ``memory_free_bytes`` is what is left below ``memory_bytes``, page cache that the kernel gives
    back (``inactive_file``) counted as free. ``cpus`` is processor time per time.
    """

    memory_bytes: int | None = None
    memory_free_bytes: int | None = None
    cpus: float | None = None


def read_limits(root: Path = ROOT, membership: Path = MEMBERSHIP) -> Limits:
    """Read the limits of this process's control groups and of all groups above them.

    Parameters
    ----------
    root
        Where the control groups are mounted.
    membership
        The file that says which groups the process is in; where it is missing, as on other
        systems than Linux, nothing is limited.
    """
    memory: list[tuple[int, int]] = []
    cpus: list[float] = []
    for folder, version in _folders(root, membership):
        bounds = _memory_v2(folder) if version == 2 else _memory_v1(folder)
        quota = _cpus_v2(folder) if version == 2 else _cpus_v1(folder)
        memory += [] if bounds is None else [bounds]
        cpus += [] if quota is None else [quota]
    return Limits(
        memory_bytes=min((limit for limit, _ in memory), default=None),
        memory_free_bytes=min((free for _, free in memory), default=None),
        cpus=min(cpus, default=None),
    )


def _folders(root: Path, membership: Path) -> Iterator[tuple[Path, int]]:
    """Yield every folder that may limit the process, with the version of its files."""
    for line in _text(membership).splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        inside = PurePosixPath(path.lstrip("/"))
        names = ["."] if number == "0" else [*controllers.split(","), controllers]
        for name in dict.fromkeys(names):
            # a container often sees its own group as the mount's root, whatever the path says
            for each in (inside, *inside.parents):
                yield root / name / each, 2 if number == "0" else 1


def _memory_v2(folder: Path) -> tuple[int, int] | None:
    limit = _number(folder / "memory.max")
    if limit is None:
        return None
    used = _number(folder / "memory.current") or 0
    return limit, _left(limit, used, _stat(folder, "inactive_file"))


def _memory_v1(folder: Path) -> tuple[int, int] | None:
    limit = _number(folder / "memory.limit_in_bytes")
    if limit is None or limit >= _NO_LIMIT_BYTES:
        return None
    used = _number(folder / "memory.usage_in_bytes") or 0
    return limit, _left(limit, used, _stat(folder, "total_inactive_file"))


def _left(limit: int, used: int, reclaimable: int) -> int:
    return max(0, limit - max(0, used - reclaimable))


def _cpus_v2(folder: Path) -> float | None:
    quota, _, period = _text(folder / "cpu.max").partition(" ")
    return _ratio(quota, period)


def _cpus_v1(folder: Path) -> float | None:
    return _ratio(_text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us"))


def _ratio(quota: str, period: str) -> float | None:
    # "max" in v2 and -1 in v1 mean no limit
    if not quota.isdecimal() or not period.strip().isdecimal():
        return None
    return int(quota) / int(period)


def _stat(folder: Path, key: str) -> int:
    for line in _text(folder / "memory.stat").splitlines():
        name, _, value = line.partition(" ")
        if name == key and value.isdecimal():
            return int(value)
    return 0


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text.isdecimal() else None


def _text(path: Path) -> str:
    """Return a file's text without the last line end; nothing where it cannot be read."""
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""
