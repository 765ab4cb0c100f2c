"""One step ahead and one behind: order, bounds, and failures that are not lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from harness.features.pipeline import OneBehind, one_ahead

LIMIT_S = 5.0  # for what must happen; nothing that happens takes as long


def failing(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def test_the_next_item_is_made_while_the_present_one_is_in_use_and_no_further_one() -> None:
    made: list[int] = []
    second = threading.Event()

    def items() -> Iterator[int]:
        for number in range(4):
            made.append(number)
            if number == 1:
                second.set()
            yield number

    with closing(one_ahead(items())) as coming:
        assert next(coming) == 0
        assert second.wait(LIMIT_S)
        assert made == [0, 1]
        assert list(coming) == [1, 2, 3]


def test_an_item_that_cannot_be_made_is_told_in_its_turn() -> None:
    def items() -> Iterator[int]:
        yield 0
        raise OSError(5, "the disk is gone")

    coming = one_ahead(items())
    assert next(coming) == 0
    with pytest.raises(OSError, match="the disk is gone"):
        next(coming)


@pytest.mark.parametrize("read", [1, 3])
def test_no_thread_is_left_when_reading_ends(read: int) -> None:
    with closing(one_ahead(iter([1, 2, 3]))) as coming:
        for _ in range(read):
            next(coming)
    assert not [each for each in threading.enumerate() if each.name.startswith("ahead")]


def test_tasks_are_done_in_order_and_the_caller_goes_on_meanwhile() -> None:
    done: list[int] = []
    go = threading.Event()

    def first() -> None:
        assert go.wait(LIMIT_S)
        done.append(1)

    with OneBehind() as behind:
        behind.do(first)
        assert done == []  # here already, and the task is not done
        go.set()
        behind.do(lambda: done.append(2))
        assert done in ([1], [1, 2])
    assert done == [1, 2]
    assert not [each for each in threading.enumerate() if each.name.startswith("behind")]


def test_a_failure_comes_with_the_next_call_and_no_task_after_it_is_begun() -> None:
    done: list[int] = []

    def two() -> None:
        with OneBehind() as behind:
            behind.do(failing(OSError(28, "the disk is full")))
            behind.do(lambda: done.append(2))

    with pytest.raises(OSError, match="the disk is full"):
        two()
    assert done == []


def test_a_failure_of_the_last_task_comes_on_leaving() -> None:
    with pytest.raises(OSError, match="the disk is full"), OneBehind() as behind:
        behind.do(failing(OSError(28, "the disk is full")))


def test_a_task_under_way_is_finished_when_an_exception_passes() -> None:
    done: list[int] = []
    leaving = threading.Event()

    def slow() -> None:
        assert leaving.wait(LIMIT_S)
        done.append(1)

    def work() -> None:
        with OneBehind() as behind:
            behind.do(slow)
            leaving.set()
            raise ValueError("the embedder broke")

    with pytest.raises(ValueError, match="the embedder broke"):
        work()
    assert done == [1]


def test_of_two_failures_the_earlier_window_s_is_told_and_the_other_is_its_context() -> None:
    def work() -> None:
        with OneBehind() as behind:
            behind.do(failing(OSError(28, "the disk is full")))
            raise ValueError("the embedder broke")

    with pytest.raises(OSError, match="the disk is full") as told:
        work()
    contexts = []
    error: BaseException | None = told.value
    while error is not None:
        contexts.append(type(error))
        error = error.__context__
    assert ValueError in contexts
