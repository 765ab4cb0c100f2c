"""The judged comparison as a whole, by its command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from harness import judge
from harness.cli import main
from harness.spec import read_spec
from harness.tuning import TuningError, TuningPlan, TuningRecipe
from harness.tuning import comparison as comparison_module
from harness.tuning.fold import score_fold
from tests.harness.tuning.migrations import write_migration
from tests.harness.tuning.motifs import motifs

LEARNING = ("--max-residues", "16", "--max-epochs", "5", "--learning-rate", "5e-3")
IDLE = ("--max-residues", "16", "--max-epochs", "1", "--learning-rate", "1e-12")


def run(spec: Path, folder: Path, *arguments: str) -> int:
    return main(["finetune-judge", str(spec), "-o", str(folder), "--seeds", "1", *arguments])


def record(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / "finetune-judge.json").read_text("utf-8"))
    return found


def predictions(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "predictions").iterdir()}


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_migration(tmp_path_factory.mktemp("small"), motifs(48, seed=1))


@pytest.fixture(scope="module")
def idle(spec: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("idle") / "out"
    # one seed decides nothing
    assert run(spec, folder, *IDLE) == 3
    return folder


def test_fine_tuning_helps_where_there_is_something_to_learn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = write_migration(tmp_path, motifs(400, seed=1), dna=False)
    assert run(spec, tmp_path / "out", *LEARNING) == 3
    found = {
        name: judge.score(stored.examples.labels, stored.probabilities[0]).accuracy
        for name in ("candidate", "fine-tuned", "fine-tuned-head")
        for stored in [
            judge.read_predictions(tmp_path / "out" / "predictions" / f"motifs-{name}.csv")
        ]
    }
    assert found["fine-tuned"] > 0.9
    assert found["fine-tuned-head"] > 0.9
    assert found["candidate"] < 0.8
    shown = capsys.readouterr().out
    assert f"fine-tuned            {found['fine-tuned']:.3f}" in shown
    assert "Verdict on the fine-tuned candidate against the baseline: INCONCLUSIVE" in shown


def test_fine_tuning_that_learns_nothing_leaves_the_candidates_predictions(idle: Path) -> None:
    stored = predictions(idle)
    assert stored["motifs-fine-tuned.csv"] == stored["motifs-candidate.csv"]
    assert stored["motifs-fine-tuned.csv"] != stored["motifs-baseline.csv"]


def test_rates_follow_from_the_predictions_and_the_verdict_from_the_first_pair(idle: Path) -> None:
    found = json.loads((idle / "finetune-judge.json").read_text("utf-8"))
    for each in found["classification"]:
        stored = judge.read_predictions(idle / each["predictions"])
        recall = float(np.mean(stored.probabilities[0][stored.examples.labels == 1] >= 0.5))
        assert each["mean"]["recall"] == pytest.approx(recall)
    first = found["pairs"][0]
    assert (first["before"], first["after"]) == ("baseline", "fine-tuned")
    assert all(gate["name"] in found["verdict"]["reason"] for gate in first["gates"])
    assert {(each["seed"], each["fold"]) for each in found["trainings"]} == {(0, 0), (0, 1)}


class Killed(BaseException):
    """Stands for a process that is no more: nothing catches it."""


def test_a_killed_comparison_goes_on_from_the_folds_that_stand(
    spec: Path, idle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []

    def dying(*arguments: object) -> object:
        if made:
            raise Killed
        made.append(arguments[-1])
        return score_fold(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(comparison_module, "score_fold", dying)
        with pytest.raises(Killed):
            run(spec, tmp_path, *IDLE)
    stands = next((tmp_path / "trainings" / "motifs").glob("*.safetensors"))
    before = stands.stat().st_mtime_ns
    assert run(spec, tmp_path, *IDLE) == 3
    assert stands.stat().st_mtime_ns == before
    assert predictions(tmp_path) == predictions(idle)


def test_unfinished_features_are_made_anew_and_two_workers_give_the_predictions_of_one(
    spec: Path, idle: Path, tmp_path: Path
) -> None:
    half = tmp_path / "features" / "candidate" / "motifs" / "protein"
    half.mkdir(parents=True)
    (half / "shard-00000.pt").write_bytes(b"half a shard")
    assert run(spec, tmp_path, *IDLE, "--workers", "2") == 3
    assert predictions(tmp_path) == predictions(idle)


def test_other_arguments_in_the_same_folder_are_refused(
    spec: Path, idle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(spec, idle, *IDLE, "--rank", "4") == 2
    assert "seed-0-fold-0.safetensors: is of a training under other" in capsys.readouterr().err


def test_too_few_groups_are_inconclusive_and_say_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = write_migration(tmp_path, motifs(8, seed=1))
    text = spec.read_text("utf-8").replace("folds = 2", "folds = 5")
    spec.write_text(text, encoding="utf-8")
    assert run(spec, tmp_path / "out", *IDLE) == 3
    assert "could go either way" in capsys.readouterr().out
    assert record(tmp_path / "out")["unclassified"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"datasets": ("genomes",)}, "'genomes' is no data set of the migration"),
        ({"weights": "random"}, "random weights have learnt nothing"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    spec: Path, change: dict[str, object], said: str
) -> None:
    migration = read_spec(spec).with_overrides(weights=change.get("weights"))  # type: ignore[arg-type]
    with pytest.raises(TuningError, match=said):
        TuningPlan(migration, TuningRecipe(), datasets=change.get("datasets", ()))  # type: ignore[arg-type]
