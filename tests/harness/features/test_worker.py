"""Real processes that hang, crash, are killed or lose their parent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from pickle import PicklingError
from typing import Any

import psutil
import pytest
import torch

import harness.features.worker
from embedders import load
from embedders.errors import InputError, RejectedSequence, WeightsError
from harness.features.embedding import embed_rows
from harness.features.errors import EmbedderBroken, WorkerFailed, WorkerHung, WorkerOutOfMemory
from harness.features.worker import Worker
from tests.harness.features import broken_embedders
from tests.harness.features.broken_embedders import SPEC, BrokenEmbedder

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")


LIMIT_S = 40.0
"""For a process to end: long for a busy machine, and short of the minute that a hung one hangs."""


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """One worker for most tests: whatever they do to it, it has to serve the next."""
    folder = tmp_path_factory.mktemp("worker")
    with Worker(partial(BrokenEmbedder, folder), timeout_s=1, retries=1) as broken:
        yield broken


def pid_of(worker: Worker) -> int:
    """Process in which the worker's embedder runs now, told by its vectors."""
    return int(worker.embed(["M"])[0, 1])


def until_gone(pid: int) -> bool:
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_a_worker_is_the_embedder_of_its_process(worker: Worker) -> None:
    worker.take_events()
    assert worker.spec == SPEC
    assert worker.clean("mk*") == BrokenEmbedder().clean("mk*")
    with pytest.raises(RejectedSequence, match="stop"):
        worker.clean("M*K")
    matrix = worker.embed(["MKT", "M"])
    assert matrix.dtype == torch.float32
    assert matrix[:, 0].tolist() == [3, 1]
    assert matrix[0, 1] not in (0, os.getpid())
    assert worker.embed([]).shape == (0, 3)
    assert worker.take_events() == ()


def test_its_process_computes_with_as_many_threads_as_this_one(worker: Worker) -> None:
    before = torch.get_num_threads()
    try:
        for threads in (3, 1):
            torch.set_num_threads(threads)
            assert worker.embed(["M"])[0, 2] == threads
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("fault", "kind", "message"),
    [
        ("VALUE", WorkerFailed, "ValueError: bad value\nand a second line"),
        ("ODD", WorkerFailed, "OddError: this and that"),
        ("SLOW", WorkerFailed, "TimeoutError: a lock"),
        ("SYSTEMEXIT", WorkerFailed, "SystemExit: 3"),
        ("MEMORY", WorkerOutOfMemory, "CUDA out of memory. Tried to allocate 9 GiB"),
        ("REJECTED", RejectedSequence, "600 tokens, but the model has 512 positions"),
        ("TYPE", TypeError, "no such argument"),
    ],
)
def test_an_exception_comes_back_and_the_process_stays(
    worker: Worker, fault: str, kind: type[Exception], message: str
) -> None:
    worker.take_events()
    pid = pid_of(worker)
    with pytest.raises(kind) as failure:
        worker.embed(["M", fault])
    assert str(failure.value) == message
    assert pid_of(worker) == pid
    assert worker.take_events() == ()


@pytest.mark.parametrize(
    ("fault", "kind", "event"),
    [
        ("KILL", WorkerOutOfMemory, "the worker was ended by signal 9 (Killed) at a batch"),
        ("LEAVE", WorkerFailed, "the worker ended with code 0 at a batch"),
        ("CUDA", WorkerFailed, "a batch of 2 sequences"),
    ],
)
def test_a_process_that_dies_or_is_past_use_is_replaced(
    worker: Worker,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    kind: type[Exception],
    event: str,
) -> None:
    monkeypatch.setattr(harness.features.worker, "LOOK_S", 0.2)
    pid = pid_of(worker)
    worker.take_events()
    with pytest.raises(kind):
        worker.embed(["M", fault])
    assert until_gone(pid)
    assert pid_of(worker) != pid
    (told,) = worker.take_events()
    assert told.startswith(event)
    assert "started again" in told


def test_a_process_that_dies_between_two_batches_is_replaced(worker: Worker) -> None:
    pid = pid_of(worker)
    worker.take_events()
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while worker._pool is not None and worker._pool.active and time.monotonic() < deadline:
        time.sleep(0.05)  # the pool looks every 0.1 s
    assert pid_of(worker) != pid
    assert worker.take_events() == ("the worker ended between two batches and was started again",)


def test_a_batch_that_hangs_once_is_tried_again(worker: Worker) -> None:
    pid = pid_of(worker)
    worker.take_events()
    matrix = worker.embed(["MK", "HANGONCE"])
    assert matrix[:, 0].tolist() == [2, 8]
    assert matrix[0, 1] != pid
    assert until_gone(pid)
    assert worker.take_events() == (
        "a batch of 2 sequences (10 residues, the longest 8) hung for 1 s; the worker was "
        "started again (retry 1 of 1)",
    )


def test_a_batch_that_always_hangs_is_an_error_after_its_retries(worker: Worker) -> None:
    pid = pid_of(worker)
    with pytest.raises(WorkerHung) as hung:
        embed_rows(["HANG", "M"], worker, 1000)
    assert str(hung.value) == (
        "a batch of 2 sequences (5 residues, the longest 4) did not come back within 1 s, tried 2 "
        "times; give a batch more time (--batch-timeout) or less to do (--tokens-per-batch)"
    )
    assert until_gone(pid)


def test_a_record_that_kills_the_process_is_the_only_one_lost(worker: Worker) -> None:
    found = embed_rows(["CRASH", "MK"], worker, 1000)
    assert found.rows == (1,)
    assert found.matrix[:, 0].tolist() == [2]
    assert found.refused[0].startswith(
        "the embedder fails on it: the worker was ended by signal 11 (Segmentation fault)"
    )


def test_vectors_are_bit_for_bit_those_of_the_same_embedder_in_this_process() -> None:
    residues = [
        ("MKTAYIAKQRQISFVKSHFSRQACDEFGHW" * 40)[:length] for length in (1, 7, 90, 400, 1100)
    ]
    here = load("mini-candidate", device="cpu")
    expected = embed_rows(residues, here, 600)
    with Worker(partial(load, "mini-candidate", device="cpu")) as worker:
        assert worker.spec == here.spec
        found = embed_rows(residues, worker, 600)
    assert torch.equal(found.matrix, expected.matrix)
    assert found.rows == expected.rows


def test_weights_that_change_between_two_starts_are_refused(tmp_path: Path) -> None:
    with Worker(partial(broken_embedders.another_each_time, tmp_path)) as worker:
        pid = pid_of(worker)
        worker.close()
        assert until_gone(pid)
        with pytest.raises(EmbedderBroken, match="came back with another embedder"):
            worker.embed(["M"])


def test_a_loading_error_comes_back_as_itself_and_leaves_no_process() -> None:
    before = set(multiprocessing.active_children())
    with pytest.raises(WeightsError) as failure, Worker(broken_embedders.no_weights):
        pass
    assert str(failure.value) == "model.safetensors is not there"
    assert set(multiprocessing.active_children()) == before


def test_a_process_that_dies_while_loading_is_an_error() -> None:
    worker = Worker(broken_embedders.crash)
    with pytest.raises(EmbedderBroken, match=r"ended by signal 11 \(Segmentation fault\) while it"):
        _ = worker.spec


def test_a_loader_that_cannot_be_sent_is_told_at_once() -> None:
    worker = Worker(lambda: BrokenEmbedder())  # noqa: PLW0108 - that it is a lambda is the point
    with pytest.raises((AttributeError, PicklingError), match="lambda"):
        _ = worker.spec


def test_loading_that_does_not_end_is_an_error() -> None:
    worker = Worker(BrokenEmbedder, load_timeout_s=0.01)
    with pytest.raises(WorkerHung, match=r"loading the embedder did not end within 0.01 s"):
        _ = worker.spec


@pytest.mark.parametrize("option", [{"timeout_s": 0}, {"retries": -1}, {"load_timeout_s": -1}])
def test_a_number_without_sense_is_refused(option: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="time-outs above 0 s and retries of at least 0"):
        Worker(BrokenEmbedder, **option)


PARENT = """
import signal
from harness.features.worker import Worker
from tests.harness.features.broken_embedders import BrokenEmbedder

# as a terminal has it: whatever a shell runs in the background is told to ignore it
signal.signal(signal.SIGINT, signal.default_int_handler)

with Worker(BrokenEmbedder) as worker:
    print(int(worker.embed(["M"])[0, 1]), flush=True)
    worker.embed(["HANG"])
"""


def test_a_worker_at_a_batch_ends_with_its_parent() -> None:
    parents = {
        reason: subprocess.Popen(
            [sys.executable, "-c", PARENT],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        for reason in (signal.SIGINT, signal.SIGKILL)
    }
    workers = {}
    for reason, parent in parents.items():
        assert parent.stdout is not None
        workers[reason] = int(parent.stdout.readline())
    time.sleep(0.5)  # until the batch is under way
    # Ctrl-C reaches parent and worker alike, as it does in a terminal; SIGKILL the parent alone
    os.killpg(parents[signal.SIGINT].pid, signal.SIGINT)
    parents[signal.SIGKILL].kill()
    for reason, parent in parents.items():
        _, said = parent.communicate(timeout=LIMIT_S)
        assert until_gone(workers[reason]), f"the worker outlived {reason.name}"
        assert said.count("KeyboardInterrupt") == (reason is signal.SIGINT), said
