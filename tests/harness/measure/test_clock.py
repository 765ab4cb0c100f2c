"""The clock counts the device's work, all of it, and no other."""

from __future__ import annotations

import time

import pytest
import torch

from harness.measure import clock, time_once


class Gpu:
    """Stands in for a CUDA device: notes what it is told, in order, and tells milliseconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, elapsed_ms: float) -> None:
        self.log: list[str] = []
        made: list[str] = ["end", "start"]
        log = self.log

        class Event:
            def __init__(self, *, enable_timing: bool) -> None:
                assert enable_timing
                self.name = made.pop()

            def record(self, stream: str) -> None:
                log.append(f"{self.name} on {stream}")

            def synchronize(self) -> None:
                log.append(f"wait for {self.name}")

            def elapsed_time(self, other: Event) -> float:
                assert (self.name, other.name) == ("start", "end")
                return elapsed_ms

        monkeypatch.setattr(torch.cuda, "Event", Event)
        monkeypatch.setattr(torch.cuda, "synchronize", lambda device: log.append(f"idle {device}"))
        monkeypatch.setattr(torch.cuda, "current_stream", lambda device: f"stream of {device}")


def test_on_cuda_events_bracket_the_work_and_all_of_the_device(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gpu = Gpu(monkeypatch, elapsed_ms=1500.0)
    assert time_once(lambda: gpu.log.append("work"), "cuda:1") == 1.5
    assert gpu.log == [
        "idle cuda:1",
        "start on stream of cuda:1",
        "work",
        "idle cuda:1",
        "end on stream of cuda:1",
        "wait for end",
    ]


@pytest.mark.parametrize(
    ("device", "name"),
    [("cpu", "perf_counter"), ("cuda", "cuda events"), ("cuda:1", "cuda events")],
)
def test_the_clock_is_named_after_what_is_read(device: str, name: str) -> None:
    assert clock.clock_of(device) == name


def test_work_that_sleeps_takes_as_long_as_it_sleeps() -> None:
    assert time_once(lambda: time.sleep(0.02), "cpu") >= 0.02


def test_a_chain_gives_the_seconds_of_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    calls = [0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])

    def work() -> None:
        calls[0] += 1
        now[0] += 1.0 if calls[0] == 1 else 0.001  # the first call warms up, and is dear

    taken = clock.time_chains(work, "cpu", seconds=0.09)
    assert taken == pytest.approx([0.001] * 5)
    # two calls before; then chains of twenty until they took as long as asked
    assert calls[0] == 2 + 5 * 20


def test_slow_work_is_timed_three_times_at_least(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])

    def work() -> None:
        now[0] += 7.0

    assert clock.time_chains(work, "cpu", seconds=0.1) == (7.0, 7.0, 7.0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_events_and_the_processors_counter_agree_on_a_long_product() -> None:
    left = torch.randn(4096, 4096, device="cuda")

    def work() -> None:
        for _ in range(50):
            left @ left

    time_once(work, "cuda")
    start = time.perf_counter()
    by_events = time_once(work, "cuda")
    assert by_events == pytest.approx(time.perf_counter() - start, rel=0.05)
