"""Made-up features have the classes they promise; the whole measurement runs at a small size."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest

from harness.features import Kind, load_features, merge, open_folder
from scripts import measure_classifier
from scripts.synthetic_features import BEST_ACCURACY, CONTIG_ROWS, World, write_sides


def test_best_rule_has_the_accuracy_that_is_promised() -> None:
    world = World.drawn()
    right = []
    for label in (0, 1):
        rows = world.rows(label, 1500, (7,))
        along = ((rows - world.centre) / world.scale) @ world.half
        right.append((along > 0) == label)
    # 24,000 rows in 3,000 contigs whose rows err together a little
    assert np.mean(right) == pytest.approx(BEST_ACCURACY, abs=0.008)
    assert NormalDist().cdf(float(np.linalg.norm(world.half))) == pytest.approx(BEST_ACCURACY)


def test_same_seed_gives_the_same_rows() -> None:
    world = World.drawn()
    first, again, other = (world.rows(1, 2, (seed,)) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_sides_merge_into_rows_of_the_class(tmp_path: Path) -> None:
    write_sides(tmp_path, rows=20, label=1, seed=0, name="viral")
    merged = merge(tmp_path / "dna", tmp_path / "protein", tmp_path / "merged", label=1)
    features = load_features(merged)
    assert features.matrix.shape == (3 * CONTIG_ROWS, 384 + 1280)
    assert features.labels is not None
    assert set(features.labels.tolist()) == {1}
    row = features.ids.index("viral-000000_chunk_2F2")
    expected = World.drawn().rows(1, 3, (0, 0))[7]
    np.testing.assert_array_equal(features.matrix[row].numpy(), expected)
    assert open_folder(tmp_path / "dna").kind is Kind.NUCLEOTIDE


@pytest.mark.slow
def test_small_run_writes_figures_and_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = ["--rows", "400,800", "--finish-rows", "400", "--test-rows", "400", "--seeds", "1"]
    out = tmp_path / "out"
    monkeypatch.setattr(sys, "argv", ["x", "-o", str(out), *sizes, "--folder", str(tmp_path)])
    assert measure_classifier.main() == 0
    figures = json.loads((out / "figures.json").read_text("utf-8"))
    assert {"400 rows", "800 rows", "in turn", "to the end"} <= set(figures)
    assert (out / "figures.txt").read_text("utf-8") == capsys.readouterr().out
    assert [each.name for each in tmp_path.iterdir()] == ["out"]
