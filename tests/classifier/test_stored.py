"""Rows in a file are the rows of its matrix, in whatever order, and a cut-off file says so."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from classifier import ClassifierError, StoredRows

OFFSET = 12


def written(path: Path, rows: int = 9, width: int = 5) -> tuple[StoredRows, np.ndarray]:
    matrix = np.arange(rows * width, dtype="<f4").reshape(rows, width)
    path.write_bytes(b"x" * OFFSET + matrix.tobytes())
    return StoredRows(path, OFFSET, rows, width), matrix


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.integers(0, 8), max_size=12))
def test_rows_read_are_those_of_the_matrix_in_the_order_asked(
    tmp_path: Path, rows: list[int]
) -> None:
    stored, matrix = written(tmp_path / "rows")
    out = torch.empty(len(rows), 5)
    stored.read(np.array(rows, dtype=np.int64), out)
    np.testing.assert_array_equal(out.numpy(), matrix[rows])


def test_shape_is_that_of_the_matrix(tmp_path: Path) -> None:
    assert written(tmp_path / "rows")[0].shape == (9, 5)


def test_file_that_was_cut_off_is_an_error_that_names_it(tmp_path: Path) -> None:
    stored, _ = written(tmp_path / "rows")
    os.truncate(stored.path, OFFSET + 8 * 5 * 4 + 3)
    stored.read(np.arange(8), torch.empty(8, 5))
    with pytest.raises(ClassifierError, match=r"rows: ends within its rows; .* make it again"):
        stored.read(np.array([8]), torch.empty(1, 5))


@pytest.mark.parametrize("ask", ["read", "expect"])
def test_file_that_is_gone_is_an_error_that_names_it(tmp_path: Path, ask: str) -> None:
    stored = StoredRows(tmp_path / "gone", 0, 3, 2)
    rows = np.arange(3)
    if ask == "expect" and not hasattr(os, "posix_fadvise"):
        pytest.skip("nothing is asked of the kernel here")
    with pytest.raises(ClassifierError, match="gone: cannot be read"):
        stored.read(rows, torch.empty(3, 2)) if ask == "read" else stored.expect(rows)


def test_what_is_expected_is_asked_of_the_kernel_by_runs_of_neighbours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored, _ = written(tmp_path / "rows")
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(
        os, "posix_fadvise", lambda _, offset, length, __: asked.append((offset, length)), False
    )
    monkeypatch.setattr(os, "POSIX_FADV_WILLNEED", 3, False)
    stored.expect(np.array([1, 2, 6]))
    assert asked == [(OFFSET + 20, 40), (OFFSET + 120, 20)]


@pytest.mark.parametrize(("offset", "rows", "width"), [(-1, 1, 1), (0, -1, 1), (0, 1, 0)])
def test_places_that_cannot_be_are_refused(offset: int, rows: int, width: int) -> None:
    with pytest.raises(ClassifierError, match="no place for"):
        StoredRows(Path("x"), offset, rows, width)
