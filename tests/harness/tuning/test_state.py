"""The file of a training: what comes back, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from classifier import Epoch
from harness.tuning import OtherTraining, TuningError
from harness.tuning.state import State, read_state, write_state

PLAN = {"seed": 3, "recipe": {"targets": ("query",), "rate": 3e-4}}
STATE = State(
    {"now.a": torch.tensor([1.5, -0.0]), "optimiser.0.step": torch.tensor(7.0)},
    (Epoch(0.1 + 0.2, 1e-300), Epoch(2.0, 3.0)),
    best_epoch=1,
)


def test_a_state_comes_back_bit_for_bit(tmp_path: Path) -> None:
    write_state(tmp_path / "state", PLAN, STATE)
    back = read_state(tmp_path / "state", PLAN)
    assert back is not None
    assert (back.history, back.best_epoch, back.epoch) == (STATE.history, 1, 1)
    assert back.tensors.keys() == STATE.tensors.keys()
    for name, tensor in STATE.tensors.items():
        assert torch.equal(back.tensors[name].view(torch.int32), tensor.view(torch.int32))


def test_no_file_is_no_state(tmp_path: Path) -> None:
    assert read_state(tmp_path / "state", PLAN) is None


def test_a_state_of_other_arguments_is_refused_and_they_are_named(tmp_path: Path) -> None:
    write_state(tmp_path / "state", PLAN, STATE)
    other = {"seed": 4, "recipe": {"targets": ("query",), "rate": 3e-4}}
    with pytest.raises(OtherTraining, match=r"seed was 3 and is 4; give the same"):
        read_state(tmp_path / "state", other)


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x80\x04."])
def test_a_damaged_state_is_an_error_that_says_what_to_do(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state").write_bytes(content)
    with pytest.raises(TuningError, match=r"is damaged .*; remove it and run the same command"):
        read_state(tmp_path / "state", PLAN)


def test_a_truncated_state_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "state"
    write_state(path, PLAN, STATE)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(TuningError, match="is damaged"):
        read_state(path, PLAN)
