"""What the engine makes of rounds that lose windows; the rounds are played, without Ray."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import torch

pytest.importorskip("ray")

import harness.cluster.engine
import harness.cluster.rounds
from embedders.errors import InputError
from harness.cluster import Node, RayEngine, Share
from harness.cluster.rows import Outcome
from harness.features import EmbedderBroken, FastaSurvey
from harness.features.making import Job, Made
from harness.features.resident import Failure
from tests.harness.cluster.fragile import SPEC, Fragile

JOB = Job(Path("in.faa"), FastaSurvey(records=14, sha256="0" * 64), 3, frozenset({1}), 2048)
Play = Callable[[Callable[[Job, int], list[Outcome]]], RayEngine]


def made(number: int, budget: int = 2048) -> Outcome:
    ids = tuple(f"r{number}{row}" for row in range(3))
    return Made(number, ids, torch.zeros(3, 2), (), 9, {}, budget), ()


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Play:
    """Return an engine on three machines whose rounds bring what a function says."""

    played: list[Job] = []

    def engine(brings: Callable[[Job, int], list[Outcome]]) -> RayEngine:
        def one_round(job: Job, crew: object, workers: int, *, in_flight: int) -> Iterator[Outcome]:
            del crew
            assert in_flight == (2 if job == JOB and not played else 1)
            played.append(job)
            yield from brings(job, workers)

        one = RayEngine(partial(Fragile, tmp_path, 0))
        monkeypatch.setattr(one, "_spec", SPEC)
        monkeypatch.setattr(one, "_share", Share(3, 2, 0))
        monkeypatch.setattr(harness.cluster.engine, "nodes", lambda: [Node(2, 0)] * 3)
        monkeypatch.setattr(harness.cluster.rounds, "one_round", one_round)
        return one

    return engine


def test_what_a_round_lost_is_made_by_the_next_under_the_smallest_budget(play: Play) -> None:
    rounds: list[tuple[list[int], int, int]] = []

    def brings(job: Job, workers: int) -> list[Outcome]:
        rounds.append((sorted(job.standing), job.tokens_per_batch, workers))
        return [made(4), made(0, 512)] if len(rounds) == 1 else [made(3), made(2)]

    engine = play(brings)
    settled: list[int] = []
    assert [each.number for each in engine.make(JOB, settled.append)] == [4, 0, 3, 2]
    # never more workers than windows
    assert rounds == [([1], 2048, 3), ([0, 1, 4], 512, 2)]
    assert sum(settled) == 12
    assert engine.take_events() == (
        "records 7 to 9, 10 to 12 were lost with a worker, and made again",
    )
    assert engine.take_events() == ()


def test_two_rounds_that_bring_nothing_end_the_run_and_name_what_is_left(play: Play) -> None:
    rounds: list[int] = []

    def brings(job: Job, workers: int) -> list[Outcome]:
        rounds.append(workers)
        return [made(number) for number in (0, 2, 3) if number not in job.standing]

    coming = play(brings).make(JOB, lambda _: None)
    assert [next(coming).number for _ in range(3)] == [0, 2, 3]
    with pytest.raises(EmbedderBroken, match=r"^in\.faa, records 13 to 14: no worker came back"):
        next(coming)
    assert rounds == [3, 1, 1]


def test_a_round_that_brings_something_begins_the_count_anew(play: Play) -> None:
    script: list[list[Outcome]] = [[], [made(0)], [], [made(2)], [], [made(3), made(4)]]
    coming = play(lambda *_: script.pop(0)).make(JOB, lambda _: None)
    assert [each.number for each in coming] == [0, 2, 3, 4]


def test_a_failure_ends_the_run_with_its_own_words_after_the_windows_before_it(play: Play) -> None:
    failure = Failure("EmbedderBroken", "in.faa, record 3 ('x'): it fails")
    engine = play(lambda *_: [made(0), (failure, ("the worker was started again",)), made(2)])
    coming = engine.make(JOB, lambda _: None)
    assert next(coming).number == 0
    with pytest.raises(EmbedderBroken, match=r"^in\.faa, record 3 \('x'\): it fails$"):
        next(coming)
    assert engine.take_events() == ("the worker was started again",)


def test_a_cluster_without_room_for_any_worker_is_an_error(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = play(lambda *_: [])
    monkeypatch.setattr(harness.cluster.engine, "nodes", lambda: [Node(1, 0)])
    with pytest.raises(InputError, match="no machine of the cluster has room"):
        next(engine.make(JOB, lambda _: None))
