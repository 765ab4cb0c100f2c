"""The output folder, and bytes of features against real shard files."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.doctor import Status, storage
from harness.doctor.storage import Amount, run_bytes, shard_bytes
from harness.features import Kind, Shard, write_shard

ROWS = 300


@pytest.mark.parametrize("id_bytes", [8, 32, 60])
@pytest.mark.parametrize("width", [96, 136, 1280, 2560])
@pytest.mark.parametrize("kind", list(Kind))
def test_shards_take_what_is_reckoned_within_a_tenth(
    tmp_path: Path, kind: Kind, width: int, id_bytes: int
) -> None:
    matrix = torch.randn(ROWS, width, generator=torch.Generator().manual_seed(0))
    ids = tuple(f"{row:0{id_bytes}d}" for row in range(ROWS))
    path = tmp_path / "shard.pt"
    write_shard(path, Shard(kind, ids, matrix))
    reckoned = shard_bytes(kind, ROWS, width, id_bytes)
    assert reckoned == pytest.approx(path.stat().st_size, rel=0.1)


def test_a_run_is_the_sum_of_its_folders() -> None:
    expected = (
        shard_bytes(Kind.PROTEIN, 7, 2560)
        + shard_bytes(Kind.PROTEIN, 7, 1280)
        + shard_bytes(Kind.MERGED, 7, 2560 + 136)
        + shard_bytes(Kind.MERGED, 7, 1280 + 136)
        + shard_bytes(Kind.NUCLEOTIDE, 7, 136)
        + 7 * 136 * 4  # the merge's scratch file
    )
    assert run_bytes([Amount(7, 136)], [2560, 1280]) == expected


def test_dna_that_is_there_already_is_not_written_again() -> None:
    there = run_bytes([Amount(7, 768, dna_embedded=False)], [96])
    assert run_bytes([Amount(7)], [96]) < there < run_bytes([Amount(7, 768)], [96])


@given(
    counts=st.lists(st.integers(0, 10**9), max_size=4),
    dna=st.integers(0, 800),
    widths=st.lists(st.integers(1, 6000), min_size=1, max_size=2),
)
def test_data_sets_add_up(counts: list[int], dna: int, widths: list[int]) -> None:
    apart = sum(run_bytes([Amount(count, dna)], widths) for count in counts)
    assert run_bytes([Amount(count, dna) for count in counts], widths) == apart
    assert apart == run_bytes([Amount(sum(counts), dna)], widths)


def test_room_is_ok_with_one_byte_to_spare_and_missing_without() -> None:
    amounts, widths = [Amount(1000, 136)], [2560, 1280]
    needed = run_bytes(amounts, widths)
    enough = storage.examine_room(needed + 1, amounts, widths, assumed=False)
    assert enough.status is Status.OK
    short = storage.examine_room(needed, amounts, widths, assumed=False)
    assert short.status is Status.MISSING
    assert short.details == {"free_bytes": needed, "needed_bytes": needed, "sequences": 1000}


def test_a_new_folder_can_be_written_and_nothing_stays_behind(tmp_path: Path) -> None:
    finding = storage.examine_output(tmp_path / "a" / "b")
    assert finding.status is Status.OK
    assert finding.details["tried"] == str(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_file_that_is_tried_is_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[int] = []
    monkeypatch.setattr(os, "fsync", flushed.append)
    storage.examine_output(tmp_path)
    assert len(flushed) == 1


def test_a_folder_below_a_file_is_missing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    finding = storage.examine_output(tmp_path / "file" / "out")
    assert finding.status is Status.MISSING
    assert str(tmp_path / "file") in finding.found
    assert "-o" in finding.remedy


def test_a_full_disk_is_missing_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", refuse)
    finding = storage.examine_output(tmp_path)
    assert finding.status is Status.MISSING
    assert "No space left" in finding.found
    assert list(tmp_path.iterdir()) == []


def test_without_a_migration_the_widest_embedders_are_reckoned_with() -> None:
    assert storage.widest() == (5120, 768)  # ESM2-15B and DNABERT-S as published
