"""Limits of control groups, on folders laid out as Linux lays them out."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.doctor.control_group import Limits, read_limits

GIB = 1 << 30
# what a v1 kernel with pages of 4 KiB shows for "no limit"
V1_NO_LIMIT = 9223372036854771712


def lay_out(root: Path, files: dict[str, object]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n", encoding="ascii")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cgroup"


def membership(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "membership"
    path.write_text(text, encoding="ascii")
    return path


def test_v2_in_a_container_that_sees_its_group_as_the_root(tmp_path: Path, root: Path) -> None:
    lay_out(
        root,
        {
            "memory.max": 4 * GIB,
            "memory.current": 3 * GIB,
            "memory.stat": f"anon 1\ninactive_file {GIB}\nactive_file 7",
            "cpu.max": "150000 100000",
        },
    )
    # 3 GiB are used, 1 of them page cache that can go: 2 of 4 GiB are left
    limits = read_limits(root, membership(tmp_path, "0::/\n"))
    assert limits == Limits(4 * GIB, 2 * GIB, 1.5)


def test_the_tightest_of_a_group_and_those_above_it_counts(tmp_path: Path, root: Path) -> None:
    lay_out(
        root,
        {
            "job/memory.max": 2 * GIB,
            "job/memory.current": 0,
            "job/step/memory.max": 8 * GIB,
            "job/step/memory.current": 0,
            "job/cpu.max": "max 100000",
            "job/step/cpu.max": "400000 100000",
        },
    )
    limits = read_limits(root, membership(tmp_path, "0::/job/step\n"))
    assert limits == Limits(2 * GIB, 2 * GIB, 4.0)


def test_v1_with_a_folder_for_each_controller(tmp_path: Path, root: Path) -> None:
    lay_out(
        root,
        {
            "memory/box/memory.limit_in_bytes": GIB,
            "memory/box/memory.usage_in_bytes": GIB,
            "memory/box/memory.stat": f"total_inactive_file {GIB // 4}",
            "memory/memory.limit_in_bytes": V1_NO_LIMIT,
            "cpu,cpuacct/cpu.cfs_quota_us": 50_000,
            "cpu,cpuacct/cpu.cfs_period_us": 100_000,
        },
    )
    limits = read_limits(root, membership(tmp_path, "4:memory:/box\n1:cpu,cpuacct:/box\n0::/\n"))
    assert limits == Limits(GIB, GIB // 4, 0.5)


def test_no_limit_is_none_in_either_version(tmp_path: Path, root: Path) -> None:
    lay_out(
        root,
        {
            "memory.max": "max",
            "cpu.max": "max 100000",
            "memory/memory.limit_in_bytes": V1_NO_LIMIT,
            "cpu/cpu.cfs_quota_us": -1,
            "cpu/cpu.cfs_period_us": 100_000,
        },
    )
    assert read_limits(root, membership(tmp_path, "2:memory:/\n1:cpu:/\n0::/\n")) == Limits()


def test_a_system_without_control_groups_limits_nothing(tmp_path: Path) -> None:
    assert read_limits(tmp_path / "none", tmp_path / "none") == Limits()


def test_more_used_than_allowed_leaves_nothing(tmp_path: Path, root: Path) -> None:
    lay_out(root, {"memory.max": GIB, "memory.current": 2 * GIB})
    assert read_limits(root, membership(tmp_path, "0::/\n")).memory_free_bytes == 0
