"""Weights in the bundle, in the hub's cache and in folders: present, whole, unchanged."""

from __future__ import annotations

import shutil
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from embedders import checkpoint
from harness.doctor import Finding, Status, weights
from harness.doctor.hub import Answer
from harness.doctor.needs import Need
from tests.harness.doctor.conftest import describe, put_in_cache

OTHER = "0123456789abcdef0123456789abcdef01234567"
Usage = namedtuple("Usage", "total used free")

pytestmark = pytest.mark.hub


def need(name: str, source: str) -> Need:
    row = checkpoint(name)
    return Need("baseline", row, row.default_runtime, source, torch.device("cpu"))


def examine(asked: Need, cache: Path, answer: Answer | None = None) -> Finding:
    answers = {} if answer is None else dict.fromkeys(weights.questions_of([asked]), answer)
    (finding,) = weights.examine_weights([asked], answers, cache)
    assert finding.needed
    return finding


def test_the_bundled_weights_hold_their_pinned_hash() -> None:
    finding = weights.examine_bundled()
    assert finding.status is Status.OK
    assert finding.details == {"mini-baseline": "verified", "mini-candidate": "verified"}


def test_damaged_bundled_weights_are_told_and_needed_by_an_arm_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from embedders import weights as source  # noqa: PLC0415 - its folder is to be replaced

    minis = tmp_path / "mini"
    shutil.copytree(source._MINI_FOLDER, minis)
    flip_a_bit(minis / "mini-baseline" / "model.safetensors")
    monkeypatch.setattr(source, "_MINI_FOLDER", minis)
    assert weights.examine_bundled().status is Status.NOTE
    assert "SHA-256" in weights.examine_bundled().found
    assert examine(need("mini-baseline", "mini"), tmp_path).status is Status.MISSING
    assert examine(need("mini-candidate", "mini"), tmp_path).status is Status.OK


def test_random_weights_need_nothing(tmp_path: Path) -> None:
    finding = examine(need("esm2-15b", "random:7"), tmp_path)
    assert finding.status is Status.OK
    assert not weights.questions_of([need("esm2-15b", "random")])


def test_a_pinned_commit_in_the_cache_is_verified_by_its_blobs_name(cache: Path) -> None:
    put_in_cache(cache, "esm2-8m")
    asked = need("esm2-8m", "hub")
    assert not weights.questions_of([asked])
    finding = examine(asked, cache)
    assert finding.status is Status.OK
    assert "SHA-256 verified" in finding.found
    assert finding.details["verified"] is True


def test_a_changed_blob_is_missing(cache: Path) -> None:
    flip_a_bit(put_in_cache(cache, "esm2-8m"))
    finding = examine(need("esm2-8m", "hub"), cache)
    assert finding.status is Status.MISSING
    assert "SHA-256" in finding.found


def test_another_commit_in_the_cache_does_not_do_unless_asked_for(cache: Path) -> None:
    put_in_cache(cache, "esm2-8m", OTHER)
    asked = need("esm2-8m", "hub")
    assert examine(asked, cache).status is Status.MISSING
    assert examine(replace(asked, revision=OTHER), cache).status is Status.OK


def test_an_interrupted_download_is_not_in_the_cache(cache: Path) -> None:
    put_in_cache(cache, "esm2-8m").unlink()
    assert weights.find_cached("facebook/esm2_t6_8M_UR50D", checkpoint("esm2-8m").revision) is None


def test_remote_code_must_be_in_the_cache_as_well(cache: Path) -> None:
    put_in_cache(cache, "esm2-8m", OTHER)
    asked = replace(need("esm2-8m", "hub"), revision=OTHER, remote_code=True)
    assert len(weights.questions_of([asked])) == 1
    next(cache.glob("*/snapshots/*")).joinpath("modeling.py").touch()
    assert weights.questions_of([asked]) == []


def test_what_two_arms_share_is_read_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_in_cache(cache, "esm2-8m")
    reads: list[Path] = []

    def read(folder: Path, **_: object) -> tuple[()]:
        reads.append(folder)
        return ()

    monkeypatch.setattr(weights, "stored_tensors", read)
    arms = [need("esm2-8m", "hub"), replace(need("esm2-8m", "hub"), part="candidate")]
    found = weights.examine_weights(arms, {}, cache)
    assert [finding.status for finding in found] == [Status.OK, Status.OK]
    assert len(reads) == 1


def test_offline_and_not_in_the_cache_is_missing_and_names_it(cache: Path) -> None:
    finding = examine(need("esm2-3b", "hub"), cache)
    assert finding.status is Status.MISSING
    assert "esm2-3b: commit 476b639933c8 is not in the cache" in finding.found
    assert "HF_HUB_OFFLINE" in finding.remedy


def test_what_the_hub_has_is_a_note_with_its_size(cache: Path) -> None:
    finding = examine(need("esm2-8m", "hub"), cache, Answer(reached=True, has=True))
    assert finding.status is Status.NOTE
    assert finding.details["download_bytes"] == 7_408_960 * 4


@pytest.mark.parametrize("reached", [True, False])
def test_what_the_hub_has_not_is_missing(cache: Path, reached: bool) -> None:
    finding = examine(need("esm2-8m", "hub"), cache, Answer(reached, fault="GatedRepoError: 403"))
    assert finding.status is Status.MISSING
    assert "GatedRepoError: 403" in finding.found


def test_a_download_that_the_caches_disk_cannot_hold_is_missing(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1, 0, 7_408_960 * 4))
    finding = examine(need("esm2-8m", "hub"), cache, Answer(reached=True, has=True))
    assert finding.status is Status.MISSING
    assert "HF_HOME" in finding.remedy


def test_the_table_is_listed_by_size_without_reading_it(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("it was read")

    blob = put_in_cache(cache, "esm2-8m")
    monkeypatch.setattr(weights, "stored_tensors", refuse)
    finding = weights.examine_cache()
    assert finding.status is Status.NOTE
    assert "not verified: esm2-8m" in finding.found
    assert "not in the cache: esm2-35m" in finding.found
    listed = finding.details["esm2-8m"]
    assert isinstance(listed, dict)
    assert listed["bytes"] == blob.stat().st_size


def test_a_folder_of_weights_is_read_without_a_hash_to_compare(cache: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    blob = put_in_cache(cache, "esm2-8m")
    shutil.copy(blob, folder / "model.safetensors")
    describe(folder, "esm2-8m")
    finding = examine(need("esm2-8m", str(folder)), cache)
    assert finding.status is Status.OK
    assert finding.details["verified"] is False
    assert "no SHA-256 to compare with" in finding.found


def test_a_users_folder_is_not_held_to_the_hash_of_the_bundled_weights(
    cache: Path, tmp_path: Path
) -> None:
    from embedders import weights as source  # noqa: PLC0415 - its folder is to be copied

    folder = tmp_path / "folder"
    shutil.copytree(source._MINI_FOLDER / "mini-baseline", folder)
    flip_a_bit(folder / "model.safetensors")  # as fine-tuning does, and many more
    finding = examine(need("mini-baseline", str(folder)), cache)
    assert finding.status is Status.OK
    assert finding.details["verified"] is False


@pytest.mark.parametrize("damage", ["absent", "other model", "no weights", "garbage"])
def test_a_folder_that_cannot_be_loaded_is_missing(
    cache: Path, tmp_path: Path, damage: str
) -> None:
    folder = tmp_path / "folder"
    if damage != "absent":
        folder.mkdir()
        describe(folder, "esm2-35m" if damage == "other model" else "esm2-8m")
    if damage in ("other model", "garbage"):
        (folder / "model.safetensors").write_bytes(b"no tensors")
    finding = examine(need("esm2-8m", str(folder)), cache)
    assert finding.status is Status.MISSING
    assert str(folder) in finding.found
    assert "[baseline]" in finding.remedy


@pytest.mark.parametrize(
    "asked",
    [
        need("esm2-8m", "mini"),
        need("mini-baseline", "hub"),
        need("dnabert-s", "random"),
        replace(need("esm2-8m", "hub"), layers=2),
        replace(need("esm2-8m", "hub"), revision="main"),
        replace(need("esm2-8m", "somewhere"), revision=OTHER),
    ],
    ids=lambda asked: f"{asked.checkpoint.name}-{asked.weights}-{asked.revision}-{asked.layers}",
)
def test_choices_that_loading_refuses_are_missing_and_fetch_nothing(
    asked: Need, cache: Path
) -> None:
    assert examine(asked, cache).status is Status.MISSING
    assert not cache.exists()


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
