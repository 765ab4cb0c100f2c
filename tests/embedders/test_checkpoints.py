"""The table against full-size models built without memory, and against the bundled files."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest
import torch

import embedders
from embedders import CHECKPOINTS, RUNTIMES, UnknownName, checkpoint, describe
from embedders.checkpoints import Architecture, Family
from embedders.errors import InputError

ESM2 = [name for name, row in CHECKPOINTS.items() if row.family is Family.ESM2]
MINI = [name for name, row in CHECKPOINTS.items() if row.bundled]
MINI_FOLDER = Path(embedders.__file__).parent / "mini"


def test_every_checkpoint_that_is_promised_has_a_row() -> None:
    assert list(CHECKPOINTS) == [
        *("esm2-8m", "esm2-35m", "esm2-150m", "esm2-650m", "esm2-3b", "esm2-15b"),
        *("fastesm2-650", "mini-baseline", "mini-candidate"),
        *("esmc-300m", "esmc-600m", "prott5-xl", "dnabert-s", "kmer4"),
    ]


@pytest.mark.parametrize("name", ESM2)
def test_parameters_are_those_of_transformers_own_model(name: str) -> None:
    from transformers import EsmConfig, EsmModel  # noqa: PLC0415

    row = CHECKPOINTS[name]
    config = EsmConfig(
        vocab_size=33,
        pad_token_id=1,
        mask_token_id=32,
        hidden_size=row.width,
        num_hidden_layers=row.layers,
        num_attention_heads=row.heads,
        intermediate_size=4 * row.width,
        position_embedding_type="rotary",
    )
    with torch.device("meta"):
        model = EsmModel(config, add_pooling_layer=False)
    counted = sum(
        parameter.numel()
        for parameter_name, parameter in model.named_parameters()
        if not parameter_name.startswith("contact_head")
    )
    assert row.parameters == counted


@pytest.mark.parametrize("runtime", list(RUNTIMES))
@pytest.mark.parametrize("name", ESM2)
def test_every_runtime_outlines_width_and_parameters_of_the_row(name: str, runtime: str) -> None:
    outline = describe(name, runtime)
    assert (outline.width, outline.parameters) == (
        CHECKPOINTS[name].width,
        CHECKPOINTS[name].parameters,
    )


@pytest.mark.parametrize(
    ("name", "width"), [("esm2-3b", 2560), ("fastesm2-650", 1280), ("esm2-8m", 320)]
)
def test_widths_of_the_migration(name: str, width: int) -> None:
    assert describe(name).width == width


def test_fastesm2_has_the_shape_of_esm2_650m() -> None:
    assert checkpoint("fastesm2-650").architecture() == checkpoint("esm2-650m").architecture()


def test_revisions_are_full_commit_hashes() -> None:
    revisions = [row.revision for row in CHECKPOINTS.values() if row.revision is not None]
    assert all(re.fullmatch(r"[0-9a-f]{40}", revision) for revision in revisions)
    assert len(set(revisions)) == len(revisions)


@pytest.mark.parametrize("name", MINI)
def test_row_of_a_mini_is_its_config_and_its_file(name: str) -> None:
    row = CHECKPOINTS[name]
    folder = MINI_FOLDER / str(row.bundled)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert (row.layers, row.width, row.heads) == (
        config["num_hidden_layers"],
        config["hidden_size"],
        config["num_attention_heads"],
    )
    stored = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert row.weights_sha256 == stored


@pytest.mark.parametrize(
    ("wrong", "near"), [("esm2-3B", "esm2-3b"), ("fastesm2", "fastesm2-650"), ("kmer", "kmer4")]
)
def test_an_unknown_name_brings_the_nearest(wrong: str, near: str) -> None:
    with pytest.raises(UnknownName, match=near):
        checkpoint(wrong)


def test_a_checkpoint_without_layers_has_no_architecture() -> None:
    with pytest.raises(InputError, match="no ESM-2 checkpoint"):
        checkpoint("kmer4").architecture()
    assert describe("kmer4").width == 136


@pytest.mark.parametrize("shape", [(0, 64, 4), (2, 0, 4), (2, 64, 0), (2, 60, 4), (2, 64, -1)])
def test_an_impossible_architecture_is_refused(shape: tuple[int, int, int]) -> None:
    layers, width, heads = shape
    with pytest.raises(InputError):
        Architecture(layers=layers, width=width, heads=heads)
