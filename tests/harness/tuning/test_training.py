"""Fine-tuning: what it learns, what it leaves alone, and that it can be broken off."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from classifier import Epoch, TooFewGroups
from embedders import InputError, checkpoint
from embedders.opened import open_encoder
from harness.tuning import OtherTraining, Start, Tuned, TuningError, TuningRecipe, finetune, tune
from harness.tuning import training as training_module
from harness.tuning.state import State, write_state
from tests.harness.tuning.motifs import motifs

START = Start(checkpoint("mini-candidate"), device="cpu")
SHALLOW = Start(checkpoint("esm2-8m"), weights="random:1", layers=1, device="cpu")
RECIPE = TuningRecipe(learning_rate=5e-3, max_epochs=3, max_residues=16)
SHORT = replace(RECIPE, max_epochs=2)


def learnt(tuned: Tuned) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in tuned.learnt().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


class Killed(BaseException):
    """Stands for a process that is no more: nothing catches it."""


def test_what_frozen_vectors_cannot_tell_is_learnt_and_holds_for_new_proteins() -> None:
    unseen = motifs(100, seed=2)
    tuned = tune(motifs(240, seed=1), START, replace(RECIPE, max_epochs=5), seed=0)
    right = (tuned.probabilities(unseen.residues) >= 0.5) == unseen.labels
    frozen, best = tuned.history[0], tuned.history[tuned.best_epoch]
    assert right.mean() > 0.9
    assert best.validation_loss < 0.3 < frozen.validation_loss

    still = replace(RECIPE, learning_rate=1e-12, max_epochs=1)
    idle = tune(motifs(240, seed=1), START, still, seed=0)
    guessed = (idle.probabilities(unseen.residues) >= 0.5) == unseen.labels
    # one hundred coin flips: within 4 standard errors of one half
    assert abs(guessed.mean() - 0.5) < 0.2


def test_the_encoder_itself_stays_as_it_was_bit_for_bit() -> None:
    tuned = tune(motifs(48, seed=1), START, SHORT, seed=0)
    now = dict(tuned.encoder.model.named_parameters())
    before = dict(open_encoder(START.row, device="cpu").encoder.model.named_parameters())
    for name, value in before.items():
        path, _, leaf = name.rpartition(".")
        kept = now.get(name, now.get(f"{path}.base_layer.{leaf}"))
        assert kept is not None, name
        assert torch.equal(kept, value), name
        assert not kept.requires_grad, name
    assert tuned.parameters == checkpoint("mini-candidate").parameters
    # 4 layers, query, key and value, two matrices of 8 by 96 for each
    assert tuned.adapter_parameters == 4 * 3 * 2 * 8 * 96


def test_the_same_arguments_give_the_same_bits_and_leave_global_randomness_alone() -> None:
    torch.manual_seed(5)
    state = torch.get_rng_state()
    one = tune(motifs(48, seed=1), SHALLOW, SHORT, seed=0)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(6)
    again = tune(motifs(48, seed=1), SHALLOW, SHORT, seed=0)
    other = tune(motifs(48, seed=1), SHALLOW, SHORT, seed=1)
    assert same(learnt(one), learnt(again))
    assert one.history == again.history
    assert not same(learnt(one), learnt(other))


@pytest.fixture(scope="module")
def whole() -> Tuned:
    return tune(motifs(48, seed=1), SHALLOW, RECIPE, seed=0)


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_a_training_killed_in_any_epoch_ends_with_the_bits_of_an_unbroken_one(
    whole: Tuned, epoch: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proteins = motifs(48, seed=1)

    def dying(path: Path, plan: dict[str, Any], state: State) -> None:
        write_state(path, plan, state)
        if state.epoch == epoch:
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(training_module, "write_state", dying)
        with pytest.raises(Killed):
            tune(proteins, SHALLOW, RECIPE, seed=0, state=tmp_path / "state")
    resumed = tune(proteins, SHALLOW, RECIPE, seed=0, state=tmp_path / "state")
    assert same(learnt(whole), learnt(resumed))
    assert (whole.history, whole.best_epoch) == (resumed.history, resumed.best_epoch)


def test_the_state_of_another_training_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "state"
    tune(motifs(48, seed=1), SHALLOW, replace(RECIPE, max_epochs=1), seed=0, state=state)
    with pytest.raises(OtherTraining, match="seed was 0 and is 1"):
        tune(motifs(48, seed=1), SHALLOW, replace(RECIPE, max_epochs=1), seed=1, state=state)
    with pytest.raises(OtherTraining, match="proteins was"):
        tune(motifs(48, seed=2), SHALLOW, replace(RECIPE, max_epochs=1), seed=0, state=state)


def test_passes_of_a_batch_change_rounding_only() -> None:
    proteins = motifs(48, seed=1)
    recipe = replace(RECIPE, max_epochs=1, dropout=0.0)
    whole = tune(proteins, SHALLOW, recipe, seed=0)
    split = tune(proteins, SHALLOW, replace(recipe, tokens_per_pass=40), seed=0)
    assert split.history[1].train_loss == pytest.approx(whole.history[1].train_loss, rel=1e-4)
    assert split.history[1].validation_loss == pytest.approx(
        whole.history[1].validation_loss, rel=1e-3
    )


def test_an_encoder_that_gets_no_better_is_left_as_it_was() -> None:
    proteins = motifs(48, seed=1)
    # labels of single groups by chance: nothing holds for the watching groups
    noise = replace(proteins, labels=np.random.default_rng(0).permutation(proteins.labels))
    tuned = tune(noise, SHALLOW, replace(RECIPE, learning_rate=0.1, patience=1), seed=3)
    assert tuned.best_epoch == 0
    assert len(tuned.history) == 2
    before = open_encoder(SHALLOW.row, weights=SHALLOW.weights, layers=SHALLOW.layers, device="cpu")
    with torch.no_grad():
        expected = before.encoder.pooled(proteins.residues[:4], 16)
    assert torch.equal(tuned.vectors(proteins.residues[:4]), expected)


def test_only_so_many_residues_are_read() -> None:
    tuned = tune(motifs(48, seed=1), SHALLOW, replace(RECIPE, max_epochs=1), seed=0)
    residues = motifs(3, seed=4).residues
    assert torch.equal(tuned.vectors(residues), tuned.vectors([f"{each}WWW" for each in residues]))


def test_too_few_groups_and_a_loss_that_is_no_number_are_errors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proteins = motifs(48, seed=1)
    lone = replace(proteins, groups=tuple("ab"[label] for label in proteins.labels))
    with pytest.raises(TooFewGroups, match="host group"):
        tune(lone, SHALLOW, RECIPE, seed=0)

    def broken(self: Tuned, batch: object) -> float:  # noqa: ARG001 - as the method is called
        return float("nan")

    monkeypatch.setattr(Tuned, "add_gradient", broken)
    with pytest.raises(TuningError, match="diverged in epoch 1"):
        tune(proteins, SHALLOW, RECIPE, seed=0)


def test_without_peft_the_error_names_the_extra_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(TuningError, match=r"pip install 'embedder-migration\[lora\]'"):
        tune(motifs(48, seed=1), SHALLOW, RECIPE, seed=0)
    with pytest.raises(TuningError, match="which is not installed"):
        finetune(motifs(48, seed=1), SHALLOW, RECIPE, tmp_path / "out", seed=0, origin=None)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_another_family_is_refused() -> None:
    with pytest.raises(InputError, match="'kmer4' is no ESM-2 checkpoint"):
        tune(motifs(48, seed=1), Start(checkpoint("kmer4"), device="cpu"), RECIPE, seed=0)


def test_columns_of_other_lengths_are_refused() -> None:
    with pytest.raises(TuningError, match="columns of"):
        replace(motifs(4, seed=1), groups=("a",))


def test_history_begins_with_the_encoder_as_it_was() -> None:
    tuned = tune(motifs(48, seed=1), SHALLOW, replace(RECIPE, max_epochs=1), seed=0)
    assert len(tuned.history) == 2
    assert all(isinstance(epoch, Epoch) for epoch in tuned.history)
