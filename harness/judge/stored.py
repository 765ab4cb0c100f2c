"""Predictions of a stored run, read only if they are still what the run wrote."""

from __future__ import annotations

from pathlib import Path

from embedders.errors import InputError
from embedders.files import sha256_of
from harness.evidence import Classification
from harness.judge.predictions import Predictions, read_predictions
from harness.results import COMPARISON_FILE


def stored_predictions(folder: Path, record: Classification) -> Predictions | None:
    """Read the predictions that a record of a run names; None if the file is not there.

    Parameters
    ----------
    folder
        The run's.
    record
        Of that run, as ``comparison.json`` has it.

    Raises
    ------
    InputError
        If the file lies outside the folder, was changed since, or is no table of predictions.
    """
    path = folder / record.predictions
    if not path.resolve().is_relative_to(folder.resolve()):
        raise InputError(
            f"{folder / COMPARISON_FILE}: names predictions outside its folder: "
            f"{record.predictions}; take the run as it was written"
        )
    if not path.is_file():
        return None
    found = sha256_of(path)
    if found != record.predictions_sha256:
        raise InputError(
            f"{path}: was changed since the run: its SHA-256 is {found}, and {COMPARISON_FILE} has "
            f"{record.predictions_sha256}; restore the file or run again"
        )
    return read_predictions(path)
