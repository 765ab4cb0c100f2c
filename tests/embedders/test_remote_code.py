"""Code that comes with weights: not run by default, and only from a named place."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from embedders import UnsupportedChoice, WeightsError, load

pytestmark = pytest.mark.hub

SEQUENCES = ["M", "MKTAYIAKQRQISFVKSHFSRQ"]
REVISION = "43667d44e325f0d0c0ee0b90d6956bf5c5998959"

# the folder's own model: an ESM-2 under another name that says when its code runs
CODE = """
from pathlib import Path

from transformers import EsmConfig, EsmModel

Path({marker!r}).touch()


class OurConfig(EsmConfig):
    model_type = "our_esm"


class OurModel(EsmModel):
    config_class = OurConfig

    def __init__(self, config, add_pooling_layer=False):
        super().__init__(config, add_pooling_layer=add_pooling_layer)
"""


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "executed"


@pytest.fixture
def folder(esm_folder: Path, tmp_path: Path, marker: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Weights of the stand-in, with a configuration that names the folder's own code."""
    from transformers import dynamic_module_utils  # noqa: PLC0415 - it copies code before it runs

    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    folder = tmp_path / "our_esm"
    folder.mkdir()
    (folder / "our_code.py").write_text(CODE.format(marker=str(marker)), encoding="utf-8")
    _write_config(esm_folder, folder, model_type="our_esm", prefix="")
    tensors = load_file(esm_folder / "model.safetensors")
    encoder = {
        name.removeprefix("esm."): tensor
        for name, tensor in tensors.items()
        if name.startswith("esm.") and "inv_freq" not in name
    }
    save_file(encoder, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def _write_config(esm_folder: Path, folder: Path, *, model_type: str, prefix: str) -> None:
    config = json.loads((esm_folder / "config.json").read_text(encoding="utf-8"))
    config["model_type"] = model_type
    config["architectures"] = ["OurModel"]
    config["auto_map"] = {
        "AutoConfig": f"{prefix}our_code.OurConfig",
        "AutoModel": f"{prefix}our_code.OurModel",
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


@pytest.mark.parametrize("runtime", ["fair-esm", "huggingface"])
def test_code_is_not_run_by_default_and_the_weights_load_without(
    folder: Path, marker: Path, runtime: str
) -> None:
    embedder = load("esm2-8m", weights=str(folder), runtime=runtime, device="cpu")
    assert embedder.embed(SEQUENCES).shape == (2, 320)
    assert not marker.exists()


def test_code_runs_when_asked_for_and_gives_the_same_vectors(folder: Path, marker: Path) -> None:
    native = load("esm2-8m", weights=str(folder), runtime="huggingface", device="cpu")
    remote = load(
        "esm2-8m", weights=str(folder), runtime="huggingface", remote_code=True, device="cpu"
    )
    assert marker.exists()
    assert remote.spec.runtime == "huggingface+remote-code"
    assert remote.spec.weights.sha256 != native.spec.weights.sha256
    torch.testing.assert_close(remote.embed(SEQUENCES), native.embed(SEQUENCES), atol=1e-5, rtol=0)


def test_identity_of_remote_code_covers_the_code(folder: Path) -> None:
    def sha256() -> str:
        embedder = load(
            "esm2-8m", weights=str(folder), runtime="huggingface", remote_code=True, device="cpu"
        )
        return embedder.spec.weights.sha256

    before = sha256()
    code = folder / "our_code.py"
    code.write_text(code.read_text(encoding="utf-8") + "\n# edited\n", encoding="utf-8")
    assert sha256() != before


@pytest.mark.parametrize("name", ["fastesm2-650", "dnabert-s"])
@pytest.mark.parametrize(
    "revision", [None, "", "main", "v1.0", "43667d4", REVISION.upper(), REVISION + "0"]
)
def test_hub_code_without_a_full_revision_is_refused(name: str, revision: str | None) -> None:
    with pytest.raises(UnsupportedChoice, match="40"):
        load(name, weights="hub", remote_code=True, revision=revision, device="cpu")


def test_code_that_the_folder_fetches_from_elsewhere_is_refused(
    esm_folder: Path, folder: Path, marker: Path
) -> None:
    _write_config(esm_folder, folder, model_type="our_esm", prefix="somebody/else--")
    with pytest.raises(WeightsError, match="code of other repositories"):
        load("esm2-8m", weights=str(folder), runtime="huggingface", remote_code=True, device="cpu")
    assert not marker.exists()


@pytest.mark.parametrize(
    "auto_map",
    [
        {"AutoModel": "our_code.OurModel", "AutoTokenizer": [None, "somebody/else--code.Theirs"]},
        {"AutoTokenizer": ["somebody/else--code.Theirs", None]},
        {"AutoModelForMaskedLM": "somebody/else--code.Theirs"},
    ],
)
def test_one_entry_that_points_elsewhere_is_enough_to_refuse(
    folder: Path, marker: Path, auto_map: dict[str, object]
) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(config | {"auto_map": auto_map}), encoding="utf-8")
    with pytest.raises(WeightsError, match=r"other repositories.* somebody/else--code\.Theirs"):
        load("esm2-8m", weights=str(folder), runtime="huggingface", remote_code=True, device="cpu")
    assert not marker.exists()


@pytest.mark.parametrize(
    "auto_map",
    [
        {"AutoTokenizer": [None, "somebody/else--code.Theirs"]},
        ["somebody/else--code.Theirs", None],
    ],
)
def test_a_tokenizer_that_points_elsewhere_is_refused(
    dna_folder: Path, tmp_path: Path, auto_map: object
) -> None:
    folder = tmp_path / "folder"
    shutil.copytree(dna_folder, folder)
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(config | {"auto_map": auto_map}), encoding="utf-8")
    with pytest.raises(WeightsError, match=r"tokenizer_config\.json would run code of other repos"):
        load("dnabert-s", weights=str(folder), remote_code=True, device="cpu")


def test_a_file_of_the_hub_cache_that_is_not_its_hash_is_refused(
    dna_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    shutil.copytree(dna_folder, folder)
    weights = folder / "model.safetensors"
    blob = folder / hashlib.sha256(weights.read_bytes()).hexdigest()
    weights.rename(blob)
    weights.symlink_to(blob)
    load("dnabert-s", weights=str(folder), device="cpu")
    content = bytearray(blob.read_bytes())
    content[-1] ^= 1
    blob.write_bytes(content)
    with pytest.raises(WeightsError, match="damaged or was replaced"):
        load("dnabert-s", weights=str(folder), device="cpu")


@pytest.mark.parametrize("weights", ["random", "random:3", "mini"])
def test_weights_without_code_are_refused(weights: str) -> None:
    with pytest.raises(UnsupportedChoice, match="come with no code"):
        load("fastesm2-650", weights=weights, remote_code=True, device="cpu")


def test_remote_code_goes_with_the_transformers_runtime_only(folder: Path) -> None:
    with pytest.raises(UnsupportedChoice, match="goes with runtime 'huggingface'"):
        load("esm2-8m", weights=str(folder), runtime="fair-esm", remote_code=True, device="cpu")


def test_weights_that_do_not_fill_the_model_are_refused(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors["encoder.layer.0.output.dense.bias"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=r"does not fill 1 tensors .* encoder\.layer\.0\.output"):
        load("esm2-8m", weights=str(folder), runtime="huggingface", remote_code=True, device="cpu")
