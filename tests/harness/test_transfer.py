"""``harness transfer``: four ways on identical folds, nothing leaks, and the record says it all."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import classifier
from classifier import (
    FeatureLayout,
    FeaturePart,
    Source,
    TrainedClassifier,
    UnknownRecipe,
    load,
)
from embedders import InputError
from harness import judge, provenance, transfer_commands
from harness.evidence import Decision, NonInferiority
from harness.parser import build_parser
from harness.preparation import LabelledFeatures, Preparation
from harness.spec import ArmName, ClassificationPlan, MigrationSpec
from harness.transfer import PAIRS, Reading, Training, Trial, View, Way, contrast, reading
from tests.bundled import shortest, write_fasta
from tests.harness.example_run import SPEC, endpoint, grouping, paired

WIDTHS = {ArmName.BASELINE: 9, ArmName.CANDIDATE: 5}
ROWS, GROUPS = 120, 24


def plan(**changes: Any) -> MigrationSpec:  # noqa: ANN401  those of a plan
    few = ClassificationPlan(folds=2, seeds=(0, 1))
    return replace(SPEC, classification=replace(few, **changes))


def view(arm: ArmName, *, groups: int = GROUPS) -> View:
    """Two clouds that overlap, seen by one arm; the rows are the same for both."""
    group_of = np.arange(ROWS) % groups
    labels = (group_of % 2).astype(np.int64)
    generator = torch.Generator().manual_seed(WIDTHS[arm])
    features = torch.randn(ROWS, WIDTHS[arm], generator=generator)
    features[:, :2] += torch.from_numpy(labels)[:, None]
    ids = tuple(f"r{row}" for row in range(ROWS))
    examples = judge.Examples(ids, ids, tuple(f"g{number}" for number in group_of), labels)
    part = FeaturePart(f"the {arm}'s", WIDTHS[arm], "0")
    return View(LabelledFeatures((features,), examples), FeatureLayout((part,)))


def prepared(folder: Path, *, groups: int = GROUPS, **changes: Any) -> Trial:  # noqa: ANN401
    """Return a trial whose features are there already."""
    trial = Trial(plan(**changes), folder)
    trial.take("d", {arm: view(arm, groups=groups) for arm in ArmName})
    return trial


def run_all(trial: Trial) -> None:
    for way in Way:
        trial.run(SPEC.datasets[0], way)


class Watched:
    """Stands where a trainer stands, and remembers its arguments and what came of them."""

    def __init__(self, real: Callable[..., TrainedClassifier]) -> None:
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any], TrainedClassifier]] = []
        self._real = real

    def __call__(self, *data: Any, **options: Any) -> TrainedClassifier:  # noqa: ANN401
        trained = self._real(*data, **options)
        self.calls.append((data, options, trained))
        return trained


def test_the_source_is_the_baseline_classifier_of_the_same_training_rows_and_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, heirs = Watched(classifier.train), Watched(classifier.transfer)
    monkeypatch.setattr("harness.transfer.train", plain)
    monkeypatch.setattr("harness.transfer.transfer", heirs)
    run_all(prepared(tmp_path))
    olds = [call for call in plain.calls if call[2].width == WIDTHS[ArmName.BASELINE]]
    transferred = [call for call in heirs.calls if call[0][0].layout.width == 9]
    assert len(olds) == len(transferred) == 4
    for old, heir in zip(olds, transferred, strict=True):
        source: Source = heir[0][0]
        assert np.array_equal(old[1]["rows"], heir[1]["rows"])
        assert old[1]["seed"] == heir[1]["seed"]
        assert torch.equal(source.kept["output.weight"], old[2].network.output.weight)


def test_nothing_of_a_test_row_reaches_its_prediction(tmp_path: Path) -> None:
    sound, spoilt = prepared(tmp_path / "a", seeds=(0,)), prepared(tmp_path / "b", seeds=(0,))
    examples = view(ArmName.BASELINE).table.examples
    test = judge.grouped_folds(examples.labels, examples.groups, 2, 0)[0].test
    changed = {}
    for arm in ArmName:
        clean = view(arm)
        matrix = clean.table.blocks[0].clone()
        if arm is ArmName.BASELINE:
            matrix[test] = 1e3
        changed[arm] = View(replace(clean.table, blocks=(matrix,)), clean.layout)
    spoilt.take("d", changed)
    chances = []
    for trial in (sound, spoilt):
        run_all(trial)
        stored = judge.read_predictions(trial.folder / "predictions" / "d-transferred.csv")
        chances.append(stored.probabilities[0][test])
    assert np.array_equal(*chances)


def test_all_ways_are_judged_on_identical_rows_folds_and_seeds(tmp_path: Path) -> None:
    trial = prepared(tmp_path)
    run_all(trial)
    stored = [
        judge.read_predictions(tmp_path / "predictions" / f"d-{name}.csv")
        for name in ("baseline", "scratch", "phases", "transferred")
    ]
    for each in stored[1:]:
        assert each.examples.ids == stored[0].examples.ids
        assert each.seeds == stored[0].seeds
        assert np.array_equal(each.folds, stored[0].folds)
    seeds = {way: [t.seed for t in trial.trainings if t.way is way] for way in Way}
    assert all(own == seeds[Way.BASELINE] for own in seeds.values())


def test_differences_are_transferred_minus_from_scratch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Preparation, "grouping", lambda *_: grouping())
    trial = prepared(tmp_path)
    run_all(trial)
    found = trial.conclude()
    right: dict[str, NDArray[np.float64]] = {}
    for name in ("scratch", "transferred"):
        with (tmp_path / "predictions" / f"d-{name}.csv").open(encoding="utf-8") as stream:
            rows = [row for row in csv.DictReader(stream) if row["label"] == "viral"]
        right[name] = np.array([float(row["probability"]) >= 0.5 for row in rows])
    asked = next(each for each in found.contrasts if each.endpoint == "sensitivity")
    assert (asked.before, asked.after) == (Way.SCRATCH, Way.TRANSFERRED)
    expected = right["transferred"].mean() - right["scratch"].mean()
    assert asked.paired.difference == pytest.approx(expected)
    assert {(each.before, each.after) for each in found.contrasts} == set(PAIRS)


def test_too_few_genomes_leave_a_data_set_out_with_the_reason(tmp_path: Path) -> None:
    trial = prepared(tmp_path, groups=4, folds=3)
    run_all(trial)
    assert "3 folds" in trial.unclassified["d"]
    found = trial.conclude()
    assert not found.contrasts
    assert found.unclassified == trial.unclassified


def test_features_of_other_rows_are_refused(tmp_path: Path) -> None:
    views = {arm: view(arm) for arm in ArmName}
    old = views[ArmName.BASELINE]
    swapped = ("r1", "r0", *old.table.examples.ids[2:])
    examples = replace(old.table.examples, ids=swapped)
    views[ArmName.BASELINE] = View(replace(old.table, examples=examples), old.layout)
    with pytest.raises(InputError, match="d: the features of the arms are not of the same rows"):
        Trial(plan(), tmp_path).take("d", views)


def interval(lower: float | None, upper: float | None, clusters: int = 20) -> NonInferiority:
    return replace(paired(0.0), lower=lower, upper=upper, clusters=clusters)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (interval(0.001, 0.2), Reading.BETTER),
        (interval(-0.2, -0.001), Reading.WORSE),
        (interval(-0.1, 0.1), Reading.OPEN),
        (interval(0.0, 0.1), Reading.OPEN),
        (interval(0.001, 0.2, clusters=5), Reading.TOO_FEW),
        (interval(0.001, 0.2, clusters=6), Reading.BETTER),
        (interval(None, None), Reading.TOO_FEW),
    ],
)
def test_a_difference_is_read_off_the_whole_interval(
    found: NonInferiority, expected: Reading
) -> None:
    assert reading(found) is expected


@pytest.mark.parametrize(
    ("clusters", "decision"), [(20, Decision.PASS), (5, Decision.INCONCLUSIVE)]
)
def test_the_margin_is_decided_by_no_fewer_genomes_than_a_verdict_needs(
    clusters: int, decision: Decision
) -> None:
    found = replace(
        endpoint("sensitivity", 0.1),
        paired=replace(interval(0.05, 0.15, clusters), decision=Decision.PASS),
    )
    assert contrast(Way.SCRATCH, Way.TRANSFERRED, found).decision is decision


def training(way: Way, losses: Sequence[float], best: int) -> Training:
    return Training("d", way, 7, len(losses), 0, best, 100, tuple(losses), 0.5)


def test_effort_is_the_mean_of_trainings_and_of_the_lowest_loss_so_far() -> None:
    took = transfer_commands.effort(
        [training(Way.SCRATCH, (0.6, 0.4, 0.5), 2), training(Way.SCRATCH, (0.8, 0.2), 2)]
    )
    assert took.trainings == 2
    assert took.epochs == pytest.approx(2.5)
    assert took.rows_seen == pytest.approx(250)
    assert took.lowest_loss == pytest.approx(0.3)
    # after the first epoch (0.6 + 0.8) / 2, then (0.4 + 0.2) / 2, which the third does not better
    assert took.lowest_losses == pytest.approx((0.7, 0.3, 0.3))


def test_a_training_without_a_finite_loss_yet_has_no_mean() -> None:
    took = transfer_commands.effort([training(Way.SCRATCH, (float("nan"), 0.4), 2)])
    assert took.lowest_losses == (None, 0.4)


SPEC_TEXT = """
schema = 1
name = "small"
[baseline]
embedder = "mini-baseline"
weights = "{weights}"
[candidate]
embedder = "mini-candidate"
weights = "mini"
dtype = "float32"
[[datasets]]
name = "short"
proteins = "p.faa"
labels = "l.csv"
[[datasets]]
name = "few"
proteins = "p.faa"
labels = "few.csv"
[embedding]
device = "cpu"
[classification]
recipe = "fast"
folds = 2
seeds = [3, 4]
[splits]
groups = ["column"]
tool = "pyhmmer"
[throughput]
dataset = "short"
[gates]
sensitivity_margin = 0.05
specificity_margin = 0.05
"""


def write_spec(folder: Path, *, weights: str = "mini") -> Path:
    records = shortest(48)
    write_fasta(folder / "p.faa", records)
    for name, groups in (("l.csv", 12), ("few.csv", 2)):
        lines = [
            f"{each},{judge.CLASSES[row % 2]},{row % groups}" for row, each in enumerate(records)
        ]
        text = "\n".join(["id,label,group", *lines, ""])
        (folder / name).write_text(text, "utf-8")
    path = folder / "small.toml"
    path.write_text(SPEC_TEXT.format(weights=weights), "utf-8")
    return path


def run(*arguments: str, command: str = "transfer") -> int:
    options = build_parser().parse_args([command, *arguments])
    code: int = options.run(options)
    return code


def test_a_run_leaves_a_record_tables_trainings_and_predictions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = write_spec(tmp_path)
    assert run(str(spec), "--seeds", "1", "-o", str(tmp_path / "results")) == 0
    shown = capsys.readouterr().out
    (folder,) = (tmp_path / "results").iterdir()
    record = json.loads((folder / "transfer.json").read_text("utf-8"))
    assert record["schema"] == "embedder-migration/transfer/1"
    assert record["spec"]["classification"]["seeds"] == [3]
    assert record["provenance"]["inputs"][0][0] == "small.toml"
    assert list(record["found"]["unclassified"]) == ["few"]
    assert {each["dataset"] for each in record["found"]["contrasts"]} == {"short"}
    for each in record["found"]["classification"]:
        assert provenance.sha256(folder / each["predictions"]) == each["predictions_sha256"]
    with (folder / "trainings.csv").open(encoding="utf-8") as stream:
        took = list(csv.DictReader(stream))
    assert [row["way"] for row in took] == [way.value for way in Way for _ in range(2)]
    page = (folder / "transfer.md").read_text("utf-8")
    asked = [each for each in record["found"]["contrasts"] if each["before"] == "from scratch"]
    for each in asked:
        line = next(
            line
            for line in page.splitlines()
            if "transferred against from scratch" in line and each["endpoint"] in line
        )
        assert f"{each['paired']['difference']:+.3f}" in line
        assert each["reading"] in line
    assert shown.splitlines()[-1].startswith("Transferred against from scratch: ")


def test_the_documented_differences_are_those_of_the_stored_run() -> None:
    root = Path(__file__).parents[2]
    page = (root / "docs" / "transfer-learning.md").read_text("utf-8").splitlines()
    stored = root / "results" / "transfer-demo" / "transfer.json"
    contrasts = json.loads(stored.read_text("utf-8"))["found"]["contrasts"]
    for before in ("from scratch", "phases alone"):
        asked = [c for c in contrasts if (c["before"], c["after"]) == (before, "transferred")]
        assert len(asked) == 6
        for each in asked:
            row = f"| {each['dataset']} | {each['level']} | {each['endpoint']} |"
            found = each["paired"]
            figures = f"{found['difference']:+.3f} [{found['lower']:+.3f}, {found['upper']:+.3f}]"
            assert any(line.startswith(row) and figures in line for line in page), (row, figures)


def test_random_weights_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, weights="random")
    with pytest.raises(InputError, match=r"small.toml: the baseline has random weights"):
        run(str(spec), "-o", str(tmp_path / "results"))
    assert not (tmp_path / "results").exists()


def test_an_unknown_recipe_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    spec = write_spec(tmp_path)
    with pytest.raises(UnknownRecipe, match="fats"):
        run(str(spec), "--recipe", "fats", "-o", str(tmp_path / "results"))
    assert not (tmp_path / "results").exists()


def test_train_begins_with_the_layers_of_another_classifier_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arm in ArmName:
        seen = view(arm).table
        merged = {
            "ids": list(seen.examples.ids),
            "data": seen.blocks[0],
            "labels": seen.examples.labels.tolist(),
        }
        torch.save(merged, tmp_path / f"{arm}.pt")
    old, new = str(tmp_path / "old"), str(tmp_path / "new")
    assert run(str(tmp_path / "baseline.pt"), "-o", old, command="train") == 0
    assert "began with" not in capsys.readouterr().out
    files = (str(tmp_path / "candidate.pt"), "-o", new, "--transfer-from", old)
    assert run(*files, command="train") == 0
    assert "began with layers for unrecorded (9)" in capsys.readouterr().out
    trained, layout = load(Path(new))
    assert trained.origin is not None
    assert (trained.origin.layout.width, layout.width) == (9, 5)
