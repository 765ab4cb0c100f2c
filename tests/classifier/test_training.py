"""Training repeats bit for bit, watches only its own groups, and never reads the rest."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from skorch import NeuralNet

from classifier import (
    RECIPES,
    ClassifierError,
    StoredRows,
    TooFewGroups,
    TrainedClassifier,
    feeding,
    predict,
    train,
)
from classifier.blocks import Blocks
from classifier.holdout import held_out
from classifier.moments import moments
from tests.classifier.conftest import Toy, make_toy

QUICK = replace(RECIPES["fast"], max_epochs=4)


def weights(trained: TrainedClassifier) -> list[torch.Tensor]:
    return list(trained.model().state_dict().values())


def same(left: TrainedClassifier, right: TrainedClassifier) -> bool:
    pairs = zip(weights(left), weights(right), strict=True)
    return all(torch.equal(ours, theirs) for ours, theirs in pairs)


def learn(toy: Toy, *, seed: int = 0, **options: object) -> TrainedClassifier:
    options = {"recipe": QUICK} | options
    return train([toy.features], toy.labels, toy.groups, seed=seed, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", RECIPES)
def test_same_seed_gives_identical_weights_bit_for_bit(toy: Toy, name: str) -> None:
    recipe = replace(RECIPES[name], max_epochs=4)
    assert same(learn(toy, recipe=recipe), learn(toy, recipe=recipe))


def test_another_seed_gives_other_weights(toy: Toy) -> None:
    assert not same(learn(toy, seed=0), learn(toy, seed=1))


def test_how_rows_are_spread_over_blocks_changes_nothing(toy: Toy) -> None:
    parts = torch.split(toy.features, [1, 100, 0, 139])
    spread = train(parts, toy.labels, toy.groups, recipe=QUICK, seed=0)
    assert same(spread, learn(toy))


@pytest.mark.parametrize("name", ["fast", "large"])
@pytest.mark.parametrize("pool_rows", [10_000, 64])
def test_rows_in_files_give_the_weights_of_rows_in_memory_bit_for_bit(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, pool_rows: int
) -> None:
    monkeypatch.setattr(feeding, "POOL_BYTES", pool_rows * 4 * toy.features.shape[1])
    stored = []
    for number, part in enumerate(torch.split(toy.features, 70)):
        path = tmp_path / str(number)
        path.write_bytes(b"header" + part.numpy().tobytes())
        stored.append(StoredRows(path, 6, *part.shape))
    recipe = replace(RECIPES[name], max_epochs=3, batch_size=32)
    trained = train(stored, toy.labels, toy.groups, recipe=recipe, seed=0)
    assert same(trained, learn(toy, recipe=recipe))
    scores = predict(trained, stored)
    np.testing.assert_array_equal(scores, predict(trained, [toy.features]))


@pytest.mark.parametrize("name", RECIPES)
def test_rows_that_are_sorted_by_class_and_do_not_fit_are_learnt_as_well(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    toy = make_toy(rows=2400, groups=240, shift=1.0)
    order = np.argsort(toy.labels, kind="stable")
    features, labels = toy.features[torch.from_numpy(order)], toy.labels[order]
    groups = [toy.groups[row] for row in order]
    seen = np.flatnonzero([int(group[1:]) >= 80 for group in groups])
    unseen = np.setdiff1d(np.arange(len(labels)), seen)
    recipe = replace(RECIPES[name], max_epochs=6, batch_size=32)

    def accuracy(pool_rows: int) -> float:
        monkeypatch.setattr(feeding, "POOL_BYTES", pool_rows * 4 * features.shape[1])
        trained = train([features], labels, groups, recipe=recipe, seed=0, rows=seen)
        scores = predict(trained, [features], rows=unseen)
        return float(np.mean((scores >= 0.5) == labels[unseen]))

    # 800 rows: the standard error of a difference of two accuracies on the same rows is about 1%
    assert accuracy(160) == pytest.approx(accuracy(10_000), abs=0.025)


def test_order_of_blocks_changes_nothing_when_rows_are_named_in_one_order(toy: Toy) -> None:
    half = len(toy.features) // 2
    swapped = np.r_[half : 2 * half, 0:half]
    moved = train(
        [toy.features[half:], toy.features[:half]],
        toy.labels[swapped],
        [toy.groups[row] for row in swapped],
        recipe=QUICK,
        seed=0,
        rows=np.argsort(swapped),
    )
    assert same(moved, learn(toy))


def test_rows_outside_the_training_rows_are_never_seen(toy: Toy) -> None:
    inside = np.flatnonzero([int(group[1:]) >= 6 for group in toy.groups])
    outside = np.setdiff1d(np.arange(len(toy.labels)), inside)
    features, labels = toy.features.clone(), toy.labels.copy()
    features[outside] = torch.nan
    labels[outside] = 1 - labels[outside]
    groups = ["other" if row in outside else group for row, group in enumerate(toy.groups)]
    changed = train([features], labels, groups, recipe=QUICK, seed=0, rows=inside)
    assert same(changed, learn(toy, rows=inside))


def test_global_random_state_is_left_as_it_was(toy: Toy) -> None:
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    expected = (torch.rand(1).item(), np.random.random(), random.random())
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    learn(toy)
    assert (torch.rand(1).item(), np.random.random(), random.random()) == expected


def test_global_random_state_does_not_change_what_is_learnt(toy: Toy) -> None:
    torch.manual_seed(1)
    first = learn(toy)
    torch.manual_seed(2)
    assert same(first, learn(toy))


def test_how_many_cores_there_are_changes_nothing(toy: Toy) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        first = learn(toy)
        torch.set_num_threads(3)
        assert same(first, learn(toy))
    finally:
        torch.set_num_threads(before)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_gpu_learns_as_well_and_leaves_its_random_state(toy: Toy) -> None:
    torch.cuda.manual_seed(3)
    expected = torch.rand(1, device="cuda").item()
    torch.cuda.manual_seed(3)
    trained = learn(toy, device="cuda", recipe=RECIPES["fast"])
    assert torch.rand(1, device="cuda").item() == expected
    scores = predict(trained, [toy.features], device="cuda")
    assert roc_auc_score(toy.labels, scores) > 0.97
    np.testing.assert_allclose(scores, predict(trained, [toy.features]), atol=1e-4)


def test_threads_are_put_back(toy: Toy) -> None:
    before = torch.get_num_threads()
    learn(toy, threads=before + 1)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("name", RECIPES)
def test_separable_classes_are_told_apart_on_groups_left_out(toy: Toy, name: str) -> None:
    seen = np.flatnonzero([int(group[1:]) >= 6 for group in toy.groups])
    unseen = np.setdiff1d(np.arange(len(toy.labels)), seen)
    trained = learn(toy, recipe=RECIPES[name], rows=seen)
    scores = predict(trained, [toy.features], rows=unseen)
    assert roc_auc_score(toy.labels[unseen], scores) > 0.97


def test_features_that_say_nothing_score_as_chance_on_groups_left_out(noise: Toy) -> None:
    seen = np.flatnonzero([int(group[1:]) >= 30 for group in noise.groups])
    unseen = np.setdiff1d(np.arange(len(noise.labels)), seen)
    scores = predict(learn(noise, rows=seen), [noise.features], rows=unseen)
    # 150 rows of each class: the standard error of a chance AUC is about 0.033
    assert 0.35 < roc_auc_score(noise.labels[unseen], scores) < 0.65


def test_weights_are_those_of_the_epoch_of_lowest_validation_loss(noise: Toy) -> None:
    recipe = replace(RECIPES["fast"], learning_rate=0.05, max_epochs=8)
    trained = learn(noise, recipe=recipe)
    losses = [epoch.validation_loss for epoch in trained.history]
    assert trained.best_epoch == int(np.argmin(losses)) + 1
    assert trained.best_epoch < len(losses), "the case must be one that goes on too long"
    assert _validation_loss(noise, trained) == pytest.approx(min(losses), rel=1e-5)


def _validation_loss(toy: Toy, trained: TrainedClassifier) -> float:
    out = held_out(toy.labels, np.array(toy.groups), fraction=0.1, seed=trained.seed)
    logits = trained.model()(toy.features[out]).detach()
    truth = torch.from_numpy(toy.labels[out])
    return float(torch.nn.functional.cross_entropy(logits, truth))


def test_patience_ends_training_before_the_cap(noise: Toy) -> None:
    recipe = replace(RECIPES["original"], learning_rate=0.5, patience=2)
    trained = learn(noise, recipe=recipe)
    assert len(trained.history) == trained.best_epoch + 2


def test_a_last_batch_of_one_row_does_not_stop_training() -> None:
    features = torch.randn(9, 3, generator=torch.Generator().manual_seed(0))
    labels, groups = [0, 1, 0, 1, 0, 1, 0, 1, 0], list("abcdefghi")
    recipe = replace(QUICK, batch_size=2)
    trained = train([features], labels, groups, recipe=recipe, seed=0)
    assert trained.rows_trained % 2 == 1


def test_moments_equal_numpys_in_double_precision() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(10_000, 4, generator=generator) * 3 + torch.tensor([0, 1e3, -1e4, 5])
    rows = np.arange(0, 10_000, 2)
    mean, scale = moments(Blocks(torch.split(features, 3_000)), rows)
    expected = features[rows].numpy().astype(np.float64)
    np.testing.assert_allclose(mean.numpy(), expected.mean(axis=0), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(scale.numpy(), expected.std(axis=0), rtol=1e-6)


def test_a_constant_column_is_not_blown_up(toy: Toy) -> None:
    features = toy.features.clone()
    features[:, 5] = 0.1
    trained = train([features], toy.labels, toy.groups, recipe=QUICK, seed=0)
    assert trained.standardisation is not None
    assert trained.standardisation.scale[5] == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", RECIPES)
def test_a_feature_that_is_no_number_is_refused_with_its_row(
    toy: Toy, name: str, value: float
) -> None:
    features = toy.features.clone()
    features[17, 2] = value
    with pytest.raises(ClassifierError, match="row 17"):
        train([features], toy.labels, toy.groups, recipe=RECIPES[name], seed=0)


def test_a_loss_that_never_is_a_number_is_an_error(toy: Toy) -> None:
    recipe = replace(RECIPES["original"], learning_rate=1e30)
    with pytest.raises(ClassifierError, match="diverged"):
        learn(toy, recipe=recipe)


def test_ctrl_c_is_not_taken_for_an_early_stop(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0
    fetch = Blocks.fetch

    def interrupted(self: Blocks, rows: np.ndarray) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == 8:
            raise KeyboardInterrupt
        return fetch(self, rows)

    monkeypatch.setattr(Blocks, "fetch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        learn(toy)


@pytest.mark.parametrize(
    ("labels", "groups", "error", "message"),
    [
        ([0, 1], list("abcd"), ClassifierError, "labels of shape"),
        ([0, 1, 2, 1], list("abcd"), ClassifierError, "not 2"),
        ([0, 1, 0, 1], list("abc"), ClassifierError, "3 groups for 4 rows"),
        ([0, 1, 0, 1], list("abac"), TooFewGroups, "1 host group"),
    ],
)
def test_labels_and_groups_that_do_not_fit_are_refused(
    labels: Sequence[int], groups: Sequence[str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        train([torch.randn(4, 3)], labels, groups, recipe=QUICK, seed=0)


def test_bar_shows_only_when_asked(toy: Toy, capfd: pytest.CaptureFixture[str]) -> None:
    learn(toy)
    assert capfd.readouterr() == ("", "")
    learn(toy, progress=True)
    assert "validation loss" in capfd.readouterr().err


def test_single_batches_are_not_remembered_beyond_their_epoch(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    histories: list[list[dict[str, object]]] = []
    fit = NeuralNet.fit

    def watched(self: NeuralNet, *arguments: object, **options: object) -> NeuralNet:
        fit(self, *arguments, **options)
        histories.append(self.history.to_list())
        return self

    monkeypatch.setattr(NeuralNet, "fit", watched)
    trained = learn(toy)
    assert [epoch["batches"] for epoch in histories[0]] == [[]] * len(trained.history)
    assert all(epoch.train_loss > 0 for epoch in trained.history)


def test_importing_the_package_does_not_import_skorch() -> None:
    code = "import sys, classifier; sys.exit('skorch' in sys.modules or 'sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


ANONYMOUS_MEMORY = """
import sys
from dataclasses import replace
from pathlib import Path
import torch
from classifier import RECIPES, train
from classifier.blocks import Blocks

def anonymous_bytes():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("RssAnon")).split()[1]) * 1024

def learn(blocks):
    rows = sum(len(block) for block in blocks)
    groups = [f"g{row % 40}" for row in range(rows)]
    labels = [row % 40 % 2 for row in range(rows)]
    recipe = replace(RECIPES["fast"], max_epochs=1, batch_size=512)
    train(blocks, labels, groups, recipe=recipe, seed=0)

learn([torch.randn(2_000, 512)])
peak = before = anonymous_bytes()
fetch = Blocks.fetch

def watched(self, rows):
    global peak
    fetched = fetch(self, rows)
    peak = max(peak, anonymous_bytes())
    return fetched

Blocks.fetch = watched
paths = map(Path, sys.argv[1:])
learn([torch.load(path, mmap=True, weights_only=True)["data"] for path in paths])
print(peak - before)
"""


PEAK_MEMORY = """
import sys
from dataclasses import replace
from pathlib import Path
import torch
from classifier import RECIPES, StoredRows, feeding, predict, train

feeding.POOL_BYTES = 2**22

def peak_bytes():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024

def learn(blocks, rows):
    groups = [f"g{row % 40}" for row in range(rows)]
    labels = [row % 40 % 2 for row in range(rows)]
    recipe = replace(RECIPES[sys.argv[1]], max_epochs=1, batch_size=512)
    predict(train(blocks, labels, groups, recipe=recipe, seed=0), blocks)

stored = [StoredRows(Path(path), 0, 5_000, 512) for path in sys.argv[2:]]
learn(stored[:1], 5_000)
before = peak_bytes()
learn(stored, 5_000 * len(stored))
print(peak_bytes() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's /proc")
@pytest.mark.parametrize("name", ["fast", "large"])
def test_peak_memory_does_not_grow_with_rows_in_files(tmp_path: Path, name: str) -> None:
    paths = [tmp_path / str(number) for number in range(6)]
    for path in paths:
        path.write_bytes(torch.randn(5_000, 512).numpy().tobytes())
    run = subprocess.run(
        [sys.executable, "-c", PEAK_MEMORY, name, *map(str, paths)],
        check=True,
        capture_output=True,
        text=True,
    )
    # five files of 10 MB more, of which labels and groups stay; allocators add 7 to 22 MB
    assert int(run.stdout) < 30e6


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's /proc")
def test_memory_mapped_shards_are_not_loaded_into_memory(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.pt" for number in range(4)]
    for path in paths:
        torch.save({"data": torch.randn(10_000, 512)}, path)
    run = subprocess.run(
        [sys.executable, "-c", ANONYMOUS_MEMORY, *map(str, paths)],
        check=True,
        capture_output=True,
        text=True,
    )
    # the shards hold 82 MB; a chunk of 1,024 rows is 2 MB, and a few times 4 MB in float64
    assert int(run.stdout) < 60e6
