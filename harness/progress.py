"""What is running and how long it still takes: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import NoReturn, TextIO

from tqdm import tqdm

_NO_BARS = ("CI", "NO_COLOR", "TQDM_DISABLE")
_NO = ("", "0", "false", "no")

Named = tuple[str, Callable[[], object]]
"""A step: what it is called, and what does it."""


def bars_wanted(stream: TextIO | None = None) -> bool:
    """Tell whether a bar may be drawn: on a terminal, unless the environment asks for plain text.

    ``CI``, ``NO_COLOR`` and ``TQDM_DISABLE`` ask for it, each by any value but an empty one, ``0``,
    ``false`` or ``no``; so do ``TERM=dumb`` and a terminal of no width, where nothing would show.

    Parameters
    ----------
    stream
        Where the bar would be; None is standard error.
    """
    target = sys.stderr if stream is None else stream
    plain = any(os.environ.get(name, "").lower() not in _NO for name in _NO_BARS)
    if plain or os.environ.get("TERM") == "dumb" or not target.isatty():
        return False
    try:
        return os.get_terminal_size(target.fileno()).columns > 0
    except OSError:  # what says that it is a terminal, and has no width to ask for
        return True


def bar(total: int, unit: str, *, shown: bool | None = None) -> tqdm[NoReturn]:
    """Return a bar on standard error that counts up to ``total``, and is gone at its end.

    Parameters
    ----------
    total
        How many there are.
    unit
        What is counted, in the singular.
    shown
        None draws it where :func:`bars_wanted`.
    """
    wanted = bars_wanted() if shown is None else shown
    return tqdm(total=total, unit=f" {unit}", disable=not wanted, leave=False)


def announced(
    steps: Iterable[Named],
    *,
    stream: TextIO | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Named]:
    """Yield named steps one by one, and say of each that it begins, where it stands, what is left.

    On a terminal one line is written over and over. Elsewhere each step is one plain line, without
    control characters. What is left is the mean time of the steps so far, times those to
    come: steps differ, so that it is a rough guide.

    Parameters
    ----------
    steps
        Name and work of each; the work is the caller's to do. All are asked for at the start, so
        that their number is known.
    stream
        None is standard error.
    clock
        Seconds, of any origin.

    Examples
    --------
    >>> for name, step in announced([("widths", int), ("parity", int)], stream=sys.stdout):
    ...     value = step()
    step 1 of 2: widths (00:00 elapsed)
    step 2 of 2: parity (00:00 elapsed, about 00:00 left)
    """
    target = sys.stderr if stream is None else stream
    planned = list(steps)
    draw = _on_bar if bars_wanted(target) else _in_lines
    yield from draw(planned, target, clock)


def _in_lines(steps: list[Named], stream: TextIO, clock: Callable[[], float]) -> Iterator[Named]:
    start = clock()
    for done, (name, step) in enumerate(steps):
        stream.write(f"{_line(done, len(steps), name, clock() - start)}\n")
        stream.flush()
        yield name, step


def _on_bar(steps: list[Named], stream: TextIO, clock: Callable[[], float]) -> Iterator[Named]:
    start = clock()
    # one line that is written over between steps and never during one: steps are timed
    with tqdm(file=stream, disable=False, leave=False, bar_format="{desc}") as shown:
        for done, (name, step) in enumerate(steps):
            shown.set_description_str(_line(done, len(steps), name, clock() - start))
            yield name, step


def _line(done: int, steps: int, name: str, elapsed_s: float) -> str:
    """Say where a step stands; a name from outside cannot command the terminal."""
    said = f"{tqdm.format_interval(elapsed_s)} elapsed"
    if done:
        left_s = elapsed_s / done * (steps - done)
        said += f", about {tqdm.format_interval(left_s)} left"
    shown = "".join(sign if sign.isprintable() else "?" for sign in name)
    return f"step {done + 1} of {steps}: {shown} ({said})"
