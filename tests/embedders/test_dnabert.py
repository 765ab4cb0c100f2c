"""The adapter of DNABERT-S on a small plain BERT in a local folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from embedders import RejectedSequence, UnsupportedChoice, WeightsError, load

SEQUENCES = ["ACGTACGGTTAACC", "A", "ACGTN" * 12, "ttttuaacg"]


def test_vectors_are_the_mean_of_all_tokens_of_a_sequence_alone(dna_folder: Path) -> None:
    from transformers import AutoTokenizer, BertModel  # noqa: PLC0415

    found = load("dnabert-s", weights=str(dna_folder), device="cpu").embed(SEQUENCES)
    model = BertModel.from_pretrained(dna_folder, attn_implementation="eager").eval()
    tokenizer = AutoTokenizer.from_pretrained(dna_folder)
    for row, sequence in zip(found, SEQUENCES, strict=True):
        clean = sequence.upper().replace("U", "T")
        tokens = tokenizer(clean, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            # the authors' own line: torch.mean(hidden_states[0], dim=0)
            expected = torch.mean(model(tokens)[0][0], dim=0)
        torch.testing.assert_close(row, expected, atol=1e-5, rtol=0)


def test_width_and_parameters_are_those_of_the_folder(dna_folder: Path) -> None:
    spec = load("dnabert-s", weights=str(dna_folder), device="cpu").spec
    stored = load_file(dna_folder / "model.safetensors")
    assert spec.width == 24
    assert spec.parameters == sum(tensor.numel() for tensor in stored.values())
    assert spec.weights.source == "folder"


def test_weights_of_another_kind_of_bert_are_refused(dna_folder: Path, tmp_path: Path) -> None:
    # as the published ones are: transformers would fill what is missing at random
    folder = tmp_path / "folder"
    shutil.copytree(dna_folder, folder)
    tensors = load_file(folder / "model.safetensors")
    renamed = {name.replace("attention.self.query", "Wqkv"): t for name, t in tensors.items()}
    save_file(renamed, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=r"does not fill 4 tensors .* ask for remote_code"):
        load("dnabert-s", weights=str(folder), device="cpu")


def test_a_model_that_transformers_does_not_know_is_refused(
    dna_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    shutil.copytree(dna_folder, folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["model_type"] = "bert_of_nobody"
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(WeightsError, match=r"cannot be loaded.*ask for remote_code"):
        load("dnabert-s", weights=str(folder), device="cpu")


def test_a_folder_without_tokenizer_is_refused(dna_folder: Path, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        shutil.copy(dna_folder / name, tmp_path / name)
    with pytest.raises(WeightsError, match=r"has no tokenizer\.json or vocab\.txt"):
        load("dnabert-s", weights=str(tmp_path), device="cpu")


def test_more_tokens_than_positions_are_rejected(dna_folder: Path) -> None:
    embedder = load("dnabert-s", weights=str(dna_folder), device="cpu")
    with pytest.raises(RejectedSequence, match="but the model has 128 positions"):
        embedder.embed(["ACCAGGATCAGTCA" * 200])


def test_random_weights_are_refused() -> None:
    with pytest.raises(UnsupportedChoice, match="come with no code"):
        load("dnabert-s", weights="random", device="cpu")


CODE = """
from pathlib import Path

from transformers import BertConfig, BertModel

Path({marker!r}).touch()


class OurConfig(BertConfig):
    pass


class OurModel(BertModel):
    config_class = OurConfig

    def __init__(self, config):
        super().__init__(config, add_pooling_layer=False)
"""


@pytest.mark.hub
def test_code_beside_the_weights_runs_only_when_asked_for(
    dna_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import dynamic_module_utils  # noqa: PLC0415 - it copies code before it runs

    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    folder, marker = tmp_path / "our_bert", tmp_path / "executed"
    shutil.copytree(dna_folder, folder)
    (folder / "our_bert_code.py").write_text(CODE.format(marker=str(marker)), encoding="utf-8")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["auto_map"] = {
        "AutoConfig": "our_bert_code.OurConfig",
        "AutoModel": "our_bert_code.OurModel",
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")

    native = load("dnabert-s", weights=str(folder), device="cpu")
    assert not marker.exists()
    remote = load("dnabert-s", weights=str(folder), remote_code=True, device="cpu")
    assert marker.exists()
    assert remote.spec.runtime == "huggingface+remote-code"
    torch.testing.assert_close(remote.embed(SEQUENCES), native.embed(SEQUENCES), atol=1e-5, rtol=0)
