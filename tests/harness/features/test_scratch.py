"""What was set down comes back, and a disk that refuses is told of by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.features import FolderError
from harness.features.scratch import Scratch, open_scratch


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.lists(st.integers(0, 5), min_size=1, max_size=5).filter(lambda sizes: sum(sizes) > 0),
    data=st.data(),
)
def test_rows_come_back_in_the_order_asked(
    tmp_path: Path, sizes: list[int], data: st.DataObject
) -> None:
    whole = torch.arange(sum(sizes) * 3, dtype=torch.float32).reshape(-1, 3)
    rows = data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=12))
    with open_scratch(tmp_path, 3) as scratch:
        for part in torch.split(whole, sizes):
            scratch.append(part)
        taken = scratch.take(np.array(rows, dtype=np.int64))
    assert torch.equal(taken, whole[torch.tensor(rows, dtype=torch.int64)])


def test_nothing_is_left_in_the_folder(tmp_path: Path) -> None:
    with open_scratch(tmp_path, 2) as scratch:
        scratch.append(torch.zeros(4, 2))
    assert not list(tmp_path.iterdir())


def test_copy_that_ends_too_soon_is_an_error_that_names_the_folder(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb+") as file:
        scratch = Scratch(file, tmp_path, 2)
        scratch.append(torch.zeros(4, 2))
        with pytest.raises(FolderError, match="the copy of the DNA vectors cannot be read"):
            scratch.take(np.array([4]))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_full_disk_is_an_error_that_names_the_folder_and_the_remedy(tmp_path: Path) -> None:
    with (
        Path("/dev/full").open("wb+", buffering=0) as file,
        pytest.raises(
            FolderError, match=r"no room for a copy of the DNA vectors .* free some disk"
        ),
    ):
        Scratch(file, tmp_path, 2).append(torch.zeros(4, 2))
