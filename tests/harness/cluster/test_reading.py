from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("ray")

from harness.cluster.reading import Turnstile, raw_windows
from harness.cluster.rows import RawWindow
from harness.features import survey_fasta
from harness.features.making import Job
from harness.features.resident import Failure


@pytest.fixture
def job(tmp_path: Path) -> Job:
    path = tmp_path / "in.faa"
    path.write_text("".join(f">r{n}\nMK{'A' * n}\n" for n in range(10)))
    return Job(path, survey_fasta(path), 3, frozenset({1}), 2048)


def test_the_missing_windows_are_read_in_order_each_at_its_turn(job: Job) -> None:
    asked: list[int] = []
    windows = list(raw_windows(job, asked.append))
    assert [(each.turn, each.number) for each in windows if isinstance(each, RawWindow)] == [
        (0, 0),
        (1, 2),
        (2, 3),
    ]
    assert [record.id for each in windows for record in each.records] == [  # type: ignore[union-attr]
        *("r0", "r1", "r2", "r6", "r7", "r8", "r9")
    ]
    assert asked == [0, 1, 2]


def test_nothing_is_read_ahead_of_a_turn(job: Job) -> None:
    def closed(turn: int) -> None:
        if turn == 1:
            raise RuntimeError("the turnstile is closed")

    coming = raw_windows(job, closed)
    assert isinstance(next(coming), RawWindow)
    with pytest.raises(RuntimeError, match="closed"):
        next(coming)


def test_a_file_that_changed_is_told_when_its_end_is_come_to(job: Job) -> None:
    changed = replace(job, survey=replace(job.survey, sha256="0" * 64))
    *windows, failure = raw_windows(changed, lambda _: None)
    assert len(windows) == 2  # the last one, cut short by the end, is not to be trusted
    assert isinstance(failure, Failure)
    assert failure.name == "InputError"
    assert "the file changed during the run" in failure.message


def test_the_reader_is_let_ahead_so_far_and_no_further_until_a_window_is_taken_up() -> None:
    async def run() -> list[int]:
        turnstile = Turnstile(ahead=2)
        sent: list[int] = []

        async def read() -> None:
            for turn in range(6):
                await turnstile.wait_for(turn)
                sent.append(turn)

        reading = asyncio.create_task(read())
        seen = []
        for taken in (0, 3):  # 1 and 2 are lost with their workers, and hold nothing up
            await asyncio.sleep(0.01)
            seen.append(len(sent))
            await turnstile.take_up(taken)
        await asyncio.wait_for(reading, 5)
        return [*seen, len(sent)]

    assert asyncio.run(run()) == [2, 3, 6]


def test_a_turnstile_at_which_nothing_comes_back_lets_one_through_at_a_time() -> None:
    async def run() -> None:
        turnstile = Turnstile(ahead=1, patience_s=0.01)
        for turn in range(4):
            await asyncio.wait_for(turnstile.wait_for(turn), 5)

    asyncio.run(run())
