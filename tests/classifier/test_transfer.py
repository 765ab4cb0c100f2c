"""What is kept stays while it is frozen, learns afterwards, and fits or is refused."""

from __future__ import annotations

import importlib
import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from classifier import (
    RECIPES,
    ClassifierError,
    Epoch,
    FeatureLayout,
    FeaturePart,
    LayoutMismatch,
    MLPClassifier,
    Origin,
    Phase,
    Recipe,
    Source,
    TrainedClassifier,
    load,
    predict,
    save,
    train,
    transfer,
)
from classifier.checkpoint import RECORD_NAME
from tests.classifier.conftest import Toy

QUICK = replace(RECIPES["fast"], max_epochs=5)
OLD = FeatureLayout((FeaturePart("kmer-4", 4, "d" * 64), FeaturePart("esm2-3b", 16, "a" * 64)))
NEW = FeatureLayout((FeaturePart("kmer-4", 4, "d" * 64), FeaturePart("fastesm2-650", 8, "b" * 64)))


def learn_old(toy: Toy, *, seed: int = 3) -> TrainedClassifier:
    wide = torch.cat([toy.features, toy.features[:, :8].square()], dim=1)
    return train([wide], toy.labels, toy.groups, recipe=QUICK, seed=seed)


@pytest.fixture(scope="module")
def old(toy: Toy) -> TrainedClassifier:
    return learn_old(toy)


@pytest.fixture(scope="module")
def source(old: TrainedClassifier) -> Source:
    return Source.of(old, OLD)


def hand_over(
    source: Source,
    toy: Toy,
    *,
    seed: int = 0,
    recipe: Recipe = QUICK,
    layout: FeatureLayout = NEW,
    **options: Any,  # noqa: ANN401  those of transfer
) -> TrainedClassifier:
    return transfer(
        source,
        [toy.features],
        toy.labels,
        toy.groups,
        seed=seed,
        recipe=recipe,
        layout=layout,
        **options,
    )


class Phases:
    """Stands where ``train`` stands, and remembers with what each phase began and ended."""

    def __init__(self) -> None:
        self.before: list[MLPClassifier] = []
        self.after: list[TrainedClassifier] = []
        self.losses_added = [0.0, 0.0]

    def __call__(
        self,
        *data: Any,  # noqa: ANN401  those of train
        start: MLPClassifier,
        **options: Any,  # noqa: ANN401
    ) -> TrainedClassifier:
        more = self.losses_added[len(self.before)]
        self.before.append(deepcopy(start))
        trained = train(*data, start=start, **options)
        history = tuple(Epoch(e.train_loss, e.validation_loss + more) for e in trained.history)
        self.after.append(replace(trained, history=history))
        return self.after[-1]

    def moved(self, phase: int) -> set[str]:
        """Return the names of the tensors that a phase changed."""
        before, after = self.before[phase].state_dict(), self.after[phase].network.state_dict()
        moved = {name for name in before if not torch.equal(before[name], after[name])}
        # BatchNorm takes the bias in front of it out again: its gradient is nothing but rounding
        return moved - {"hidden.bias"}


@pytest.fixture
def phases(monkeypatch: pytest.MonkeyPatch) -> Phases:
    watched = Phases()
    # the package offers the function under the module's name
    monkeypatch.setattr(importlib.import_module("classifier.transfer"), "train", watched)
    return watched


KEPT = {"norm.weight", "norm.bias", "output.weight", "output.bias"}
FIRST_LAYER = {"hidden.weight"}
STATISTICS = {"norm.running_mean", "norm.running_var", "norm.num_batches_tracked"}


def test_kept_weights_are_those_of_the_source_at_the_start(
    old: TrainedClassifier, source: Source, toy: Toy, phases: Phases
) -> None:
    hand_over(source, toy)
    theirs, ours = old.network.state_dict(), phases.before[0].state_dict()
    assert all(torch.equal(theirs[name], ours[name]) for name in KEPT)


def test_everything_else_is_new_at_the_start_as_in_training_from_nothing(
    source: Source, toy: Toy, phases: Phases
) -> None:
    hand_over(source, toy, seed=11)
    with torch.random.fork_rng():
        torch.manual_seed(11)
        new = MLPClassifier(12).state_dict()
    ours = phases.before[0].state_dict()
    assert all(torch.equal(new[name], ours[name]) for name in FIRST_LAYER | STATISTICS)


def test_first_phase_moves_the_first_layer_and_the_statistics_behind_it_alone(
    source: Source, toy: Toy, phases: Phases
) -> None:
    hand_over(source, toy)
    assert phases.moved(0) == FIRST_LAYER | STATISTICS


def test_second_phase_begins_where_the_first_ended_and_moves_everything(
    source: Source, toy: Toy, phases: Phases
) -> None:
    hand_over(source, toy)
    ended, begins = phases.after[0].network.state_dict(), phases.before[1].state_dict()
    assert all(torch.equal(ended[name], begins[name]) for name in begins)
    assert phases.moved(1) == FIRST_LAYER | STATISTICS | KEPT


def test_second_phase_learns_at_a_tenth_of_the_rate_and_both_share_the_epochs(
    source: Source, toy: Toy, phases: Phases
) -> None:
    hand_over(source, toy)
    first, second = (each.recipe for each in phases.after)
    assert second.learning_rate == pytest.approx(0.1 * first.learning_rate)
    assert first.learning_rate == QUICK.learning_rate
    assert (first.max_epochs, second.max_epochs) == (3, 2)


def test_statistics_of_batchnorm_follow_the_new_layer_while_its_scale_is_frozen(
    source: Source, toy: Toy, phases: Phases
) -> None:
    hand_over(source, toy, recipe=replace(QUICK, max_epochs=40, patience=40))
    frozen = phases.after[0]
    assert frozen.standardisation is not None
    with torch.no_grad():
        activations = frozen.network.hidden(frozen.standardisation(toy.features))
    # a running mean of batches and weights that still move: near, not equal
    running = frozen.network.state_dict()["norm.running_mean"]
    assert torch.allclose(running, activations.mean(dim=0), atol=0.2)


def test_history_holds_both_phases_and_the_best_epoch_of_both(
    source: Source, toy: Toy, phases: Phases
) -> None:
    done = hand_over(source, toy)
    first, second = phases.after
    assert done.history == first.history + second.history
    assert done.origin == Origin(
        OLD,
        (
            Phase("first layer", 1e-2, len(first.history)),
            Phase("all layers", pytest.approx(1e-3), len(second.history)),  # type: ignore[arg-type]
        ),
    )
    losses = [epoch.validation_loss for epoch in done.history]
    assert losses[done.best_epoch - 1] == min(losses)
    assert done.recipe == QUICK


@pytest.mark.parametrize("chosen", [0, 1])
def test_weights_are_those_of_the_phase_with_the_lower_validation_loss(
    source: Source, toy: Toy, phases: Phases, chosen: int
) -> None:
    phases.losses_added[1 - chosen] = 10.0
    done = hand_over(source, toy)
    kept, theirs = done.network.state_dict(), phases.after[chosen].network.state_dict()
    assert all(torch.equal(kept[name], theirs[name]) for name in kept)
    before = len(phases.after[0].history) if chosen else 0
    assert done.best_epoch == before + phases.after[chosen].best_epoch


def test_every_layer_of_the_result_may_learn_again(source: Source, toy: Toy) -> None:
    assert all(each.requires_grad for each in hand_over(source, toy).network.parameters())


def test_the_source_is_left_as_it_was(old: TrainedClassifier, toy: Toy) -> None:
    before = deepcopy(old.network.state_dict())
    hand_over(Source.of(old, OLD), toy)
    after = old.network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_same_seed_gives_identical_weights_and_another_seed_others(
    source: Source, toy: Toy
) -> None:
    one, again, other = (hand_over(source, toy, seed=seed).network for seed in (4, 4, 5))
    states = [network.state_dict() for network in (one, again, other)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(states[0]["hidden.weight"], states[2]["hidden.weight"])


def test_global_random_state_is_left_as_it_was(source: Source, toy: Toy) -> None:
    torch.manual_seed(99)
    before = torch.random.get_rng_state()
    hand_over(source, toy)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_rows_outside_the_training_rows_are_never_seen(source: Source, toy: Toy) -> None:
    inside = np.flatnonzero([int(group[1:]) >= 6 for group in toy.groups])
    spoilt = toy.features.clone()
    spoilt[np.setdiff1d(np.arange(len(toy.labels)), inside)] = torch.nan
    clean = hand_over(source, toy, rows=inside)
    seen = hand_over(source, replace(toy, features=spoilt), rows=inside)
    assert torch.equal(clean.network.hidden.weight, seen.network.hidden.weight)


def test_early_stopping_watches_the_groups_that_training_from_nothing_watches(
    source: Source, toy: Toy, phases: Phases
) -> None:
    plain = train([toy.features], toy.labels, toy.groups, recipe=QUICK, seed=0)
    hand_over(source, toy)
    for phase in phases.after:
        assert (phase.rows_trained, phase.rows_validated) == (
            plain.rows_trained,
            plain.rows_validated,
        )
        assert phase.standardisation is not None
        assert plain.standardisation is not None
        # the mean of the rows that are learnt from: the same one for the same rows
        assert torch.equal(phase.standardisation.mean, plain.standardisation.mean)


def test_an_untrained_source_gives_the_network_that_training_begins_with(
    toy: Toy, phases: Phases
) -> None:
    hand_over(Source.untrained(NEW, seed=8), toy, seed=8)
    with torch.random.fork_rng():
        torch.manual_seed(8)
        new = MLPClassifier(12).state_dict()
    ours = phases.before[0].state_dict()
    assert all(torch.equal(new[name], ours[name]) for name in new)


def test_a_source_of_another_hidden_width_is_refused_with_both_names(toy: Toy) -> None:
    narrow = {
        "norm.weight": torch.ones(256),
        "norm.bias": torch.zeros(256),
        "output.weight": torch.ones(2, 256),
        "output.bias": torch.zeros(2),
    }
    with pytest.raises(LayoutMismatch, match=r"esm2-3b.*fastesm2-650.*\(256,\).*512"):
        hand_over(Source(OLD, narrow), toy)


@pytest.mark.parametrize("name", sorted(KEPT))
def test_a_source_with_nan_is_refused_with_both_names(source: Source, toy: Toy, name: str) -> None:
    spoilt = {key: tensor.clone() for key, tensor in source.kept.items()}
    spoilt[name].view(-1)[-1] = torch.nan
    with pytest.raises(ClassifierError, match=rf"esm2-3b.*fastesm2-650.*{name} holds NaN"):
        hand_over(Source(OLD, spoilt), toy)


def test_features_of_another_width_than_their_layout_are_refused(source: Source, toy: Toy) -> None:
    with pytest.raises(LayoutMismatch, match=r"12 wide.*esm2-3b \(16\)"):
        hand_over(source, toy, layout=OLD)


def test_a_network_of_another_width_is_no_start(toy: Toy) -> None:
    with pytest.raises(LayoutMismatch, match=r"20 columns.* 12"):
        train(
            [toy.features],
            toy.labels,
            toy.groups,
            recipe=QUICK,
            seed=0,
            start=MLPClassifier(20),
        )


def test_a_recipe_of_one_epoch_cannot_have_two_phases(source: Source, toy: Toy) -> None:
    with pytest.raises(ClassifierError, match="'fast' has one epoch"):
        hand_over(source, toy, recipe=replace(QUICK, max_epochs=1))


def test_a_checkpoint_says_that_it_was_transferred_and_from_what(
    source: Source, toy: Toy, tmp_path: Path
) -> None:
    done = hand_over(source, toy)
    save(tmp_path, done, NEW)
    again, layout = load(tmp_path)
    assert again.origin == done.origin
    assert layout == NEW
    record = json.loads((tmp_path / RECORD_NAME).read_text(encoding="utf-8"))
    assert [part["name"] for part in record["origin"]["layout"]["parts"]] == ["kmer-4", "esm2-3b"]
    assert np.array_equal(predict(again, [toy.features]), predict(done, [toy.features]))


def test_a_checkpoint_of_before_transfer_is_read_as_one_from_nothing(
    old: TrainedClassifier, tmp_path: Path
) -> None:
    save(tmp_path, old, OLD)
    assert "origin" not in json.loads((tmp_path / RECORD_NAME).read_text(encoding="utf-8"))
    assert load(tmp_path)[0].origin is None


def noisy(rows: int, width: int, *, seed: int) -> Toy:
    """Two clouds seen through a projection of each width's own; a fifth of the labels is wrong."""
    generator = torch.Generator().manual_seed(seed)
    truth = np.arange(rows) % 2
    hidden = torch.randn(rows, 8, generator=generator)
    hidden[:, :3] += torch.from_numpy(truth - 0.5)[:, None]
    view = torch.randn(8, width, generator=torch.Generator().manual_seed(width))
    features = hidden @ view + 0.3 * torch.randn(rows, width, generator=generator)
    wrong = torch.rand(rows, generator=generator).numpy() < 0.2
    labels = np.where(wrong, 1 - truth, truth)
    groups = tuple(f"g{row // 2 % 20}-{labels[row]}" for row in range(rows))
    return Toy(features.float(), labels, groups)


def test_few_rows_with_wrong_labels_are_learnt_better_from_a_source_of_many() -> None:
    recipe = replace(RECIPES["fast"], max_epochs=20)
    many = noisy(3000, 24, seed=1)
    layouts = [FeatureLayout((FeaturePart("x", width, "0"),)) for width in (24, 12)]
    taught = train([many.features], many.labels, many.groups, recipe=RECIPES["fast"], seed=0)
    source, test = Source.of(taught, layouts[0]), noisy(2000, 12, seed=99)
    losses = []
    for seed in range(3):
        few = noisy(400, 12, seed=100 + seed)
        options: dict[str, Any] = {"recipe": recipe, "seed": seed}
        ways = (
            train([few.features], few.labels, few.groups, **options),
            hand_over(Source.untrained(layouts[1], seed), few, layout=layouts[1], **options),
            hand_over(source, few, layout=layouts[1], **options),
        )
        losses.append([log_loss(test.labels, predict(way, [test.features])) for way in ways])
    nothing, phases_alone, transferred = np.mean(losses, axis=0)
    # a source that knows how far labels can be trusted, and no mere effect of the two phases
    assert transferred < nothing - 0.02
    assert transferred < phases_alone - 0.01
