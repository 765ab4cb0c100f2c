"""What crosses from a worker's process back: kinds of failure and their messages, as values."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

import harness.features.resident
from embedders.contract import Embedder
from embedders.errors import InputError, RejectedSequence, UnsupportedChoice, WeightsError
from harness.features.errors import WorkerFailed, WorkerOutOfMemory
from harness.features.resident import Failure, Loaded, embed_here, load_here
from tests.harness.features import broken_embedders
from tests.harness.features.broken_embedders import SPEC, BrokenEmbedder, OddError


@pytest.fixture(autouse=True)
def empty_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness.features.resident, "_RESIDENT", {})


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (MemoryError("no room"), WorkerOutOfMemory, "no room"),
        (RuntimeError("CUDA error: out of memory"), WorkerOutOfMemory, "CUDA error: out of memory"),
        (RejectedSequence("too long"), RejectedSequence, "too long"),
        (UnsupportedChoice("float16 on a CPU"), UnsupportedChoice, "float16 on a CPU"),
        (WeightsError("not there"), WeightsError, "not there"),
        (InputError("wrong"), InputError, "wrong"),
        (OddError("a", "b"), WorkerFailed, "OddError: a and b"),
        (KeyError("J"), WorkerFailed, "KeyError: 'J'"),
        (RuntimeError("CUDA error: device-side assert"), WorkerFailed, None),
    ],
)
def test_an_error_is_raised_again_with_its_message(
    error: Exception, kind: type[Exception], message: str | None
) -> None:
    again = Failure.of(error).error()
    assert type(again) is kind
    assert str(again) == (message or f"{type(error).__name__}: {error}")


def test_only_an_error_of_cuda_other_than_memory_leaves_the_process_past_use() -> None:
    for error, fatal in (
        (RuntimeError("CUDA error: device-side assert triggered"), True),
        (RuntimeError("CUDA error: out of memory"), False),
        (torch.OutOfMemoryError("CUDA out of memory"), False),
        (RuntimeError("shapes do not fit"), False),
    ):
        assert Failure.of(error).fatal is fatal


@pytest.mark.parametrize(
    ("loader", "kind", "message"),
    [
        (broken_embedders.unknown_name, InputError, "unknown embedder 'esm3'; did you mean"),
        (broken_embedders.no_weights, WeightsError, "model.safetensors is not there"),
        (broken_embedders.no_memory, WorkerOutOfMemory, "CUDA out of memory"),
    ],
)
def test_a_loading_error_is_a_value(
    loader: Callable[[], Embedder], kind: type[Exception], message: str
) -> None:
    answer = load_here(loader, torch.get_num_threads())
    assert isinstance(answer, Failure)
    assert type(answer.error()) is kind
    assert str(answer.error()).startswith(message)


def test_a_batch_needs_an_embedder_to_be_loaded() -> None:
    answer = embed_here(["M"], 100, torch.get_num_threads())
    assert isinstance(answer, Failure)
    assert answer.fatal
    loaded = load_here(BrokenEmbedder, torch.get_num_threads())
    assert isinstance(loaded, Loaded)
    assert loaded.spec == SPEC
    answer = embed_here(["MK"], 100, torch.get_num_threads())
    assert not isinstance(answer, Failure)
    assert answer[:, 0].tolist() == [2]


def test_running_out_of_memory_gives_back_what_torch_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    emptied: list[bool] = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(True))
    load_here(BrokenEmbedder, torch.get_num_threads())
    for fault, expected in (("VALUE", []), ("MEMORY", [True])):
        embed_here([fault], 100, torch.get_num_threads())
        assert emptied == expected
