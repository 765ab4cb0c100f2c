"""The hub's own client on a cache folder laid out as it lays it out; nothing is sent anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from embedders import UnsupportedChoice, WeightsError, checkpoint, load
from embedders.hub import download

pytestmark = pytest.mark.hub

REVISION = "c731040fcd8d73dceaa04b0a8e6329b345b0f5df"
OTHER = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache, offline: the client reads both settings when it is imported."""
    from huggingface_hub import constants  # noqa: PLC0415 - its constants are to be replaced

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def _snapshot(cache: Path, revision: str) -> Path:
    folder = cache / "models--facebook--esm2_t6_8M_UR50D" / "snapshots" / revision
    folder.mkdir(parents=True)
    return folder


def _fill(folder: Path, esm_folder: Path, weights: str) -> None:
    (folder / "config.json").write_bytes((esm_folder / "config.json").read_bytes())
    if weights.endswith(".safetensors"):
        (folder / weights).write_bytes((esm_folder / "model.safetensors").read_bytes())
    else:
        torch.save(load_file(esm_folder / "model.safetensors"), folder / weights)


@pytest.mark.parametrize("weights", ["model.safetensors", "pytorch_model.bin"])
def test_a_cached_snapshot_is_loaded_at_the_pinned_revision(
    cache: Path, esm_folder: Path, weights: str
) -> None:
    _fill(_snapshot(cache, REVISION), esm_folder, weights)
    spec = load("esm2-8m", weights="hub", device="cpu").spec
    assert (spec.weights.source, spec.weights.revision) == ("hub", REVISION)


def test_a_revision_that_is_named_replaces_that_of_the_table(cache: Path, esm_folder: Path) -> None:
    _fill(_snapshot(cache, OTHER), esm_folder, "model.safetensors")
    spec = load("esm2-8m", weights="hub", revision=OTHER, device="cpu").spec
    assert spec.weights.revision == OTHER


def test_offline_and_not_cached_is_one_error_with_a_remedy(cache: Path) -> None:
    assert not cache.exists()
    with pytest.raises(WeightsError, match=r"neither in the hub cache nor .* unset HF_HUB_OFFLINE"):
        load("esm2-3b", weights="hub", device="cpu")


def test_another_revision_in_the_cache_does_not_do(cache: Path, esm_folder: Path) -> None:
    _fill(_snapshot(cache, OTHER), esm_folder, "model.safetensors")
    with pytest.raises(WeightsError, match=REVISION):
        load("esm2-8m", weights="hub", device="cpu")


@pytest.mark.parametrize("revision", ["main", "c731040", REVISION.upper(), REVISION + "0"])
def test_only_a_full_commit_hash_is_a_revision(revision: str) -> None:
    with pytest.raises(UnsupportedChoice, match="40 lower-case hex digits"):
        download(checkpoint("esm2-8m"), revision)


def test_a_revision_means_nothing_for_a_folder(esm_folder: Path) -> None:
    with pytest.raises(UnsupportedChoice, match="goes with weights 'hub'"):
        load("esm2-8m", weights=str(esm_folder), revision=OTHER, device="cpu")
