"""The model card of the bundled weights says what the stored evaluation, log and files say."""

import csv
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from esm.data import Alphabet
from safetensors.torch import load_file
from transformers import EsmForMaskedLM

ROOT = Path(__file__).parents[2]
MINI = ROOT / "embedders" / "mini"
NAMES = ("mini-baseline", "mini-candidate")


@pytest.fixture(scope="module")
def card() -> str:
    return (MINI / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def evaluation() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((MINI / "evaluation.json").read_text(encoding="utf-8"))
    return found


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _last_row(name: str) -> dict[str, str]:
    with (MINI / f"training-log-{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))[-1]


def test_table_of_the_card_is_the_evaluation_to_three_places(
    card: str, evaluation: dict[str, Any]
) -> None:
    expected = {
        name: (
            f"{row['width']}",
            f"{row['accuracy']['mean']:.3f} ± {row['accuracy']['sd']:.3f}",
            f"{row['auc']['mean']:.3f} ± {row['auc']['sd']:.3f}",
        )
        for name, row in evaluation["results"].items()
    }
    cells = re.findall(
        r"^\| ([^|]+) \| (\d+) \| ([\d.]+ ± [\d.]+) \| ([\d.]+ ± [\d.]+) \|$", card, re.MULTILINE
    )
    assert {name.strip(" *`"): tuple(rest) for name, *rest in cells} == expected


def test_evaluation_was_made_on_the_bundled_proteins(evaluation: dict[str, Any]) -> None:
    data = ROOT / "benchmarks" / "data"
    assert evaluation["data"]["fasta_sha256"] == _sha256(data / "proteins.faa.gz")
    assert evaluation["data"]["table_sha256"] == _sha256(data / "proteins.csv")


@pytest.mark.parametrize("name", NAMES)
def test_evaluation_and_card_are_about_these_very_weights(
    name: str, card: str, evaluation: dict[str, Any]
) -> None:
    for file, facts in evaluation["files"][name].items():
        path = MINI / name / file
        assert facts == {"bytes": path.stat().st_size, "sha256": _sha256(path)}, file
    assert _sha256(MINI / name / "model.safetensors") in card


@pytest.mark.parametrize("name", NAMES)
def test_card_states_the_last_row_of_the_training_log(name: str, card: str) -> None:
    row = _last_row(name)
    expected = f"| {name} | {int(row['step']):,} | {int(row['tokens']) / 1e6:.1f} million |"
    assert expected in card
    assert f"| {row['residue']} | {row['mean']} | {row['masked']} |" in card


@pytest.mark.parametrize("name", NAMES)
def test_each_mini_beats_composition_and_its_own_random_weights(
    name: str, evaluation: dict[str, Any]
) -> None:
    results = evaluation["results"]
    own = results[name]
    for other in (results["composition"], results[f"{name}, random weights"]):
        assert own["accuracy"]["mean"] > other["accuracy"]["mean"]
        # the baseline's accuracy leads by about the spread (the card says so); its ranking by more
        spread = own["auc"]["sd"] + other["auc"]["sd"]
        assert own["auc"]["mean"] - other["auc"]["mean"] > 2 * spread


def test_folders_together_stay_below_six_megabytes() -> None:
    files = [path for name in NAMES for path in (MINI / name).iterdir()]
    assert sum(path.stat().st_size for path in files) < 6_000_000


@pytest.mark.parametrize("name", NAMES)
def test_folder_is_laid_out_like_the_hubs(name: str) -> None:
    found = {path.name for path in (MINI / name).iterdir()}
    assert found == {"config.json", "model.safetensors", "vocab.txt"}


@pytest.mark.parametrize("name", NAMES)
def test_vocabulary_is_fair_esms(name: str) -> None:
    tokens = (MINI / name / "vocab.txt").read_text(encoding="utf-8").split()
    assert tokens == Alphabet.from_architecture("ESM-1b").all_toks


def test_candidate_is_half_as_wide_as_the_baseline() -> None:
    configs = [json.loads((MINI / name / "config.json").read_text()) for name in NAMES]
    assert [config["hidden_size"] for config in configs] == [192, 96]
    assert [config["num_attention_heads"] for config in configs] == [6, 3]


@pytest.mark.parametrize("name", NAMES)
def test_transformers_loads_every_tensor_and_misses_none(name: str) -> None:
    stored = load_file(MINI / name / "model.safetensors")
    assert all(tensor.dtype == torch.float16 for tensor in stored.values())
    assert all(bool(tensor.isfinite().all()) for tensor in stored.values())
    model, report = EsmForMaskedLM.from_pretrained(MINI / name, output_loading_info=True)
    # the rotary table is no weight: it follows from the head's width (and is checked elsewhere)
    assert {key for key in report["missing_keys"] if not key.endswith("inv_freq")} == set()
    assert not report["unexpected_keys"]
    assert not report["mismatched_keys"]
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_card_states_the_sizes_of_the_stored_encoders(card: str) -> None:
    stored = [load_file(MINI / name / "model.safetensors") for name in NAMES]
    counts = [
        sum(
            tensor.numel()
            for name, tensor in tensors.items()
            if name.startswith("esm.") and "contact_head" not in name
        )
        for tensors in stored
    ]
    assert f"| parameters of the encoder | {counts[0]:,} | {counts[1]:,} |" in card
    sizes = [(MINI / name / "model.safetensors").stat().st_size for name in NAMES]
    assert f"bytes | {sizes[0]:,} | {sizes[1]:,} |" in card
