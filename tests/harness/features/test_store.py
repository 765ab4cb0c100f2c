from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import harness.files
from harness.features import FolderError, Kind, Manifest, ManifestError, Reject, Shard, part_of
from harness.features.manifest import Budget, Source, write_manifest
from harness.features.store import check_store, open_store

MakeEmbedder = Callable[..., Any]
HOLDER = """
import sys, time
from pathlib import Path
from filelock import FileLock
from harness.features.journal import note
folder = Path(sys.argv[1])
with FileLock(folder / ".lock"):
    note(folder, "opened")
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def plan(make_embedder: MakeEmbedder) -> Manifest:
    spec = make_embedder().spec
    return Manifest(
        kind=Kind.PROTEIN,
        width=3,
        parts=(part_of(spec),),
        embedder=spec,
        sources=(Source("in.fa", "1" * 64, 4),),
        shard_size=2,
    )


def shard(*ids: str) -> Shard:
    return Shard(Kind.PROTEIN, ids, torch.arange(3.0 * len(ids)).reshape(-1, 3))


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock of ``tmp_path / "out"``."""
    (tmp_path / "out").mkdir()
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_writer_is_refused_and_told_who_holds_the_folder(
    tmp_path: Path, plan: Manifest, holder: subprocess.Popen[str]
) -> None:
    with (
        pytest.raises(FolderError, match=f"is being written by process {holder.pid} on "),
        open_store(tmp_path / "out", plan),
    ):
        pass
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_a_lock_ends_with_its_holder_however_that_ends(
    tmp_path: Path, plan: Manifest, holder: subprocess.Popen[str]
) -> None:
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with open_store(tmp_path / "out", plan) as store:
        store.add(0, shard=shard("a"))


def test_two_writers_in_one_process_exclude_each_other_too(tmp_path: Path, plan: Manifest) -> None:
    with (
        open_store(tmp_path / "out", plan),
        pytest.raises(FolderError, match=f"process {os.getpid()} "),
        open_store(tmp_path / "out", plan),
    ):
        pass


def test_windows_may_come_in_any_order_and_the_folder_is_the_same(
    tmp_path: Path, plan: Manifest
) -> None:
    rejects = (Reject("x", 3, "why"),)
    for name, order in (("forth", (0, 1)), ("back", (1, 0))):
        with open_store(tmp_path / name, plan) as store:
            for number in order:
                store.add(
                    number,
                    shard=shard("a", "b") if number == 0 else shard("c"),
                    rejects=rejects if number else (),
                )
            store.finish()
    for path in (tmp_path / "forth").iterdir():
        if path.name != "journal.jsonl":
            assert (tmp_path / "back" / path.name).read_bytes() == path.read_bytes(), path.name


def test_a_store_with_a_hole_is_not_declared_whole(tmp_path: Path, plan: Manifest) -> None:
    with open_store(tmp_path / "out", plan) as store:
        store.add(1, shard=shard("c"))
        with pytest.raises(ValueError, match="windows are missing"):
            store.finish()


def test_what_a_killed_writer_left_is_removed_and_what_others_left_is_not_touched(
    tmp_path: Path, plan: Manifest
) -> None:
    with open_store(tmp_path / "out", plan) as store:
        store.add(0, shard=shard("a"))
    partial = tmp_path / "out" / ".shard-00001.pt.0badcafe.partial"
    partial.write_bytes(b"half a shard")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with open_store(tmp_path / "out", plan) as store:
        assert store.has(0)
        assert not store.has(1)
    assert not partial.exists()
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"


def test_a_smaller_budget_is_remembered_unless_another_is_asked_for(
    tmp_path: Path, plan: Manifest
) -> None:
    with open_store(tmp_path / "out", plan) as store:
        assert store.budget(4096) == Budget(asked=4096, in_force=4096)
        assert store.budget(None) is None
        store.add(0, shard=shard("a"), budget=Budget(asked=4096, in_force=512))
    with open_store(tmp_path / "out", plan) as store:
        assert store.budget(4096) == Budget(asked=4096, in_force=512)
        assert store.budget(2048) == Budget(asked=2048, in_force=2048)
        assert store.budget(None) == Budget(asked=4096, in_force=512)


def test_a_budget_that_was_settled_stands_before_any_window_does(
    tmp_path: Path, plan: Manifest
) -> None:
    with open_store(tmp_path / "out", plan) as store:
        store.settle(Budget(asked=8192, in_force=8192))
    with open_store(tmp_path / "out", plan) as store:
        assert store.found == 0
        assert store.budget(None) == Budget(asked=8192, in_force=8192)


def test_a_damaged_manifest_is_an_error_and_nothing_is_lost(tmp_path: Path, plan: Manifest) -> None:
    with open_store(tmp_path / "out", plan) as store:
        store.add(0, shard=shard("a"))
    path = tmp_path / "out" / "manifest.json"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ManifestError, match=r"manifest\.json: not strict JSON"):
        open_store(tmp_path / "out", plan).__enter__()
    assert (tmp_path / "out" / "shard-00000.pt").exists()


def test_a_folder_is_checked_without_being_touched(tmp_path: Path, plan: Manifest) -> None:
    check_store(tmp_path / "none")
    assert not (tmp_path / "none").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.pt").touch()
    with pytest.raises(FolderError, match=r"already holds 'a\.pt'"):
        check_store(tmp_path / "mine")
    with pytest.raises(FolderError, match="cannot be written to as a folder"):
        check_store(tmp_path / "mine" / "a.pt")
    write_manifest(tmp_path / "mine", plan)
    check_store(tmp_path / "mine")


def test_every_file_is_flushed_before_its_name_and_every_name_before_the_manifest(
    tmp_path: Path, plan: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[tuple[str, str]] = []
    fsync, replace = os.fsync, Path.replace

    def name_of(descriptor: int) -> str:
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        return name.split(".")[1] if name.endswith(harness.files.PARTIAL_SUFFIX) else name

    def watched_fsync(descriptor: int) -> None:
        done.append(("flush", name_of(descriptor)))
        fsync(descriptor)

    def watched_replace(self: Path, target: Path) -> Path:
        done.append(("name", Path(target).name))
        return replace(self, target)

    with open_store(tmp_path / "out", plan) as store:
        if not Path("/proc/self/fd").exists():
            pytest.skip("only Linux tells which file a descriptor is of")
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", watched_fsync)
            patched.setattr(Path, "replace", watched_replace)
            store.add(0, shard=shard("a"), rejects=(Reject("x", 2, "why"),))
    steps = []
    for stem, name in (
        ("shard-00000", "shard-00000.pt"),
        ("rejects-00000", "rejects-00000.csv"),
        ("manifest", "manifest.json"),
    ):
        steps += [("flush", stem), ("name", name), ("flush", "out")]
    assert done == steps
