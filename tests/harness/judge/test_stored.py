"""Predictions of a run are read only as the run wrote them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from embedders import InputError
from harness.judge.stored import stored_predictions
from tests.harness.judge.stored_runs import predictions, stored_run


def test_predictions_come_back_as_they_were_written(tmp_path: Path) -> None:
    run = stored_run(tmp_path / "run", predictions(missed=3))
    found = stored_predictions(tmp_path / "run", run.classification[0])
    assert found is not None
    assert np.array_equal(found.probabilities, predictions(missed=3).probabilities)


def test_a_file_that_is_gone_gives_none(tmp_path: Path) -> None:
    run = stored_run(tmp_path / "run")
    (tmp_path / "run" / run.classification[0].predictions).unlink()
    assert stored_predictions(tmp_path / "run", run.classification[0]) is None


def test_a_changed_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    run = stored_run(tmp_path / "run")
    file = tmp_path / "run" / run.classification[0].predictions
    file.write_text(file.read_text("utf-8").replace("0.1", "0.2", 1), "utf-8")
    with pytest.raises(InputError, match=r"d-candidate\.csv: was changed since the run"):
        stored_predictions(tmp_path / "run", run.classification[0])


@pytest.mark.parametrize("place", ["../other.csv", "/other.csv"])
def test_a_file_outside_the_run_is_refused(tmp_path: Path, place: str) -> None:
    run = stored_run(tmp_path / "run")
    record = replace(run.classification[0], predictions=place)
    with pytest.raises(InputError, match="outside its folder"):
        stored_predictions(tmp_path / "run", record)
