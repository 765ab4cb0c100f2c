"""One step ahead of the device, and one step behind it, each in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

_Item = TypeVar("_Item")


def one_ahead(items: Iterator[_Item]) -> Generator[_Item, None, None]:
    """Yield the items in order, the next one being made while the present one is in use.

    At most one item waits. What making it raises comes when that item's turn comes. Close the
    iterator if it is not read to its end: closing waits for an item that is being made.

    Parameters
    ----------
    items
        Advanced in another thread, one item at a time; None is no item.

    Examples
    --------
    >>> list(one_ahead(iter("abc")))
    ['a', 'b', 'c']
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="ahead") as thread:
        coming = thread.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = thread.submit(next, items, None)
            yield item


class OneBehind:
    """Does one task after the other, in order, while the caller goes on with the next.

    At most one task is under way. What a task raises comes with the next call, or on leaving; no
    task after it is begun. Leaving waits for the last task, also when an exception passes: an
    earlier task's failure then takes its place, with the exception as its context.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="behind")
        self._under_way: Future[object] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._thread:
            self._wait()

    def do(self, task: Callable[[], object]) -> None:
        """Wait for the task before, then begin this one."""
        self._wait()
        self._under_way = self._thread.submit(task)

    def _wait(self) -> None:
        if self._under_way is not None:
            task, self._under_way = self._under_way, None
            task.result()
