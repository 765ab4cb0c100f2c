"""A folder of one fine-tuned encoder: every runtime reads it, and breaks leave the same bytes."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file

from embedders import RUNTIMES, checkpoint, load
from embedders.opened import open_encoder
from harness import provenance
from harness.tuning import (
    WEIGHTS_FOLDER,
    OtherTraining,
    Start,
    TuningError,
    TuningRecipe,
    finetune,
    tune,
)
from harness.tuning import training as training_module
from harness.tuning.state import State, write_state
from tests.harness.tuning.motifs import motifs

START = Start(checkpoint("mini-candidate"), device="cpu")
RECIPE = TuningRecipe(
    learning_rate=5e-3, max_epochs=2, max_residues=16, targets=("query", "feed-forward")
)
PROTEINS = motifs(96, seed=1)
SEQUENCES = (*PROTEINS.residues[:3], "MKTAYIAKQRQISFVKSHFSRQ" * 5)


def origin() -> provenance.Provenance:
    return provenance.collect("harness finetune", (), datetime.now(UTC))


def made(folder: Path, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - those of finetune
    chosen: dict[str, Any] = {"proteins": PROTEINS, "start": START, "recipe": RECIPE, "seed": 0}
    return finetune(**{**chosen, **changes}, folder=folder, origin=origin)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("tuned") / "out"
    record = made(place)
    assert record["best_epoch"] > 0, "nothing was learnt, so that nothing would be tested"
    return place


def through_peft(folder: Path) -> torch.Tensor:
    """Vectors of the encoder with the adapter that peft itself reads."""
    opened = open_encoder(START.row, device="cpu").encoder
    with pytest.warns(FutureWarning, match="is_gradient_checkpointing"):
        PeftModel.from_pretrained(opened.model, str(folder / "adapter"))
    opened.model.eval()
    with torch.no_grad():
        return torch.cat([opened.pooled([each], 1024) for each in SEQUENCES])


@pytest.mark.parametrize("runtime", list(RUNTIMES))
def test_merged_weights_give_the_vectors_of_the_adapter_in_every_runtime(
    folder: Path, runtime: str
) -> None:
    if runtime not in ("fair-esm", "huggingface", "packed"):
        pytest.skip("a runtime of another family")
    weights = str(folder / WEIGHTS_FOLDER)
    merged = load("mini-candidate", runtime=runtime, weights=weights, device="cpu")
    frozen = load("mini-candidate", runtime=runtime, device="cpu")
    expected = through_peft(folder)
    assert (merged.embed(SEQUENCES) - expected).abs().max() < 1e-5
    assert (frozen.embed(SEQUENCES) - expected).abs().max() > 1e-3
    assert merged.spec.weights.sha256 != frozen.spec.weights.sha256


def test_merged_weights_differ_from_the_encoders_in_the_adapted_matrices_alone(
    folder: Path,
) -> None:
    before = dict(START.tensors())
    after = load_file(folder / WEIGHTS_FOLDER / "model.safetensors")
    for name, tensor in after.items():
        if "inv_freq" in name:
            assert torch.equal(tensor, before["rotary_embeddings.inv_freq"])
            continue
        adapted = name.endswith(("query.weight", "intermediate.dense.weight")) or (
            name.endswith("output.dense.weight") and "attention" not in name
        )
        assert torch.equal(tensor, before[name].float()) != adapted, name


def test_transformers_own_loader_reads_the_folder(folder: Path) -> None:
    from transformers import EsmModel, logging  # noqa: PLC0415

    from embedders.alphabet import encode  # noqa: PLC0415

    logging.set_verbosity_error()
    model = EsmModel.from_pretrained(str(folder / WEIGHTS_FOLDER), add_pooling_layer=False)
    with torch.no_grad():
        hidden = model(encode(SEQUENCES[0])[None]).last_hidden_state[0, 1:-1].mean(dim=0)
    assert (hidden - through_peft(folder)[0]).abs().max() < 1e-5


def test_a_whole_folder_is_left_alone_and_its_record_given(folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    record = made(folder)
    assert record["files"].keys() == {
        path.relative_to(folder).as_posix()
        for path in before
        if path.name not in (".lock", "finetune.json")
    }
    for name, promised in record["files"].items():
        assert provenance.sha256(folder / name) == promised
    after = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    after.pop(folder / ".lock", None)
    before.pop(folder / ".lock", None)
    assert after == before


def test_other_arguments_are_refused_by_name(folder: Path) -> None:
    with pytest.raises(OtherTraining, match=r"finetune\.json: .* seed was 0 and is 1"):
        made(folder, seed=1)
    with pytest.raises(OtherTraining, match="recipe was"):
        made(folder, recipe=replace(RECIPE, rank=4))


def test_weights_that_were_changed_since_are_refused(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    weights = copy / WEIGHTS_FOLDER / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(TuningError, match=r"model\.safetensors: is missing or was changed"):
        made(copy)


class Killed(BaseException):
    """Stands for a process that is no more: nothing catches it."""


def test_a_killed_run_goes_on_and_leaves_the_bytes_of_an_unbroken_one(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dying(path: Path, plan: dict[str, Any], state: State) -> None:
        write_state(path, plan, state)
        if state.epoch == 1:
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(training_module, "write_state", dying)
        with pytest.raises(Killed):
            made(tmp_path)
    assert (tmp_path / "state.safetensors").is_file()
    record = made(tmp_path)
    assert record["files"] == made(folder)["files"]
    assert not (tmp_path / "state.safetensors").exists()


def test_strange_files_and_a_second_writer_are_refused(tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("kept", encoding="utf-8")
    with pytest.raises(TuningError, match=r"already holds 'kept\.txt'"):
        made(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["kept.txt"]


def test_adapters_learnt_in_bfloat16_are_added_to_the_weights_as_they_are_stored(
    tmp_path: Path,
) -> None:
    recipe = replace(RECIPE, dtype="bfloat16", max_epochs=1)
    made(tmp_path, recipe=recipe)
    tuned = tune(PROTEINS, START, recipe, seed=0)
    assert all(value.dtype is torch.float32 for value in tuned.learnt().values())
    before = dict(START.tensors())
    after = load_file(tmp_path / WEIGHTS_FOLDER / "model.safetensors")
    untouched = "encoder.layer.0.attention.self.key.weight"
    assert torch.equal(after[untouched], before[untouched].float())
    # the mini's weights have 11 bits, of which bfloat16 keeps 8
    assert not torch.equal(after[untouched], after[untouched].bfloat16().float())
