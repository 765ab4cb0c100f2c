"""Long work says where it stands: on one line of a terminal, in plain lines elsewhere."""

from __future__ import annotations

import doctest
import io
import os
import re
import termios
from collections.abc import Iterator

import pytest

from harness import progress

SWITCHES = ("CI", "NO_COLOR", "TQDM_DISABLE")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SWITCHES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


def ticks(*seconds: float) -> Iterator[float]:
    yield from seconds


def run(stream: io.StringIO, names: list[str], *seconds: float) -> list[str]:
    done: list[str] = []
    clock = ticks(*seconds)
    steps = [(name, lambda name=name: done.append(name)) for name in names]
    for _, step in progress.announced(steps, stream=stream, clock=lambda: next(clock)):
        step()
    return done


def test_examples() -> None:
    assert doctest.testmod(progress).failed == 0
    assert doctest.testmod(progress).attempted > 0


def test_a_terminal_gets_bars_and_a_pipe_none() -> None:
    assert progress.bars_wanted(Terminal())
    assert not progress.bars_wanted(io.StringIO())


@pytest.mark.parametrize("name", SWITCHES)
@pytest.mark.parametrize(
    ("value", "bars"), [("1", False), ("true", False), ("0", True), ("", True)]
)
def test_the_environment_can_ask_for_plain_text(
    name: str, value: str, bars: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    assert progress.bars_wanted(Terminal()) is bars


def test_a_dumb_terminal_gets_no_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert not progress.bars_wanted(Terminal())


@pytest.mark.parametrize(("columns", "bars"), [(80, True), (0, False)])
def test_a_terminal_of_no_width_gets_no_bars(columns: int, bars: bool) -> None:
    controller, terminal = os.openpty()
    with os.fdopen(terminal, "w") as stream:
        termios.tcsetwinsize(terminal, (24, columns))
        assert progress.bars_wanted(stream) is bars
    os.close(controller)


def test_a_pipe_gets_one_plain_line_for_each_step() -> None:
    stream = io.StringIO()
    # started at 0 s; the second step begins after 60 s, the third after 90 s
    assert run(stream, ["a", "b", "c"], 0, 0, 60, 90) == ["a", "b", "c"]
    assert stream.getvalue().splitlines() == [
        "step 1 of 3: a (00:00 elapsed)",
        "step 2 of 3: b (01:00 elapsed, about 02:00 left)",  # 60 s a step, two to come
        "step 3 of 3: c (01:30 elapsed, about 00:45 left)",  # 45 s a step, one to come
    ]


def test_a_line_is_there_before_its_step_runs() -> None:
    written = io.BytesIO()
    stream = io.TextIOWrapper(io.BufferedWriter(written), encoding="utf-8")
    for _ in progress.announced([("a", int)], stream=stream):
        assert b"step 1 of 1: a" in written.getvalue()


def test_a_terminal_has_one_line_that_is_written_over() -> None:
    stream = Terminal()
    assert run(stream, ["a", "b"], 0, 0, 60) == ["a", "b"]
    shown = stream.getvalue()
    assert "\n" not in shown
    assert re.search(r"\rstep 2 of 2: b \(01:00 elapsed, about 01:00 left\)", shown)
    assert shown.endswith("\r")  # and the line is blank at the end
    assert not shown.rstrip("\r").rpartition("\r")[2].strip()


@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
def test_a_name_cannot_command_the_terminal(kind: type[io.StringIO]) -> None:
    stream = kind()
    run(stream, ["red \x1b[31m\nnew"], 0, 0)
    assert "\x1b[31m" not in stream.getvalue()
    assert "red ?[31m?new" in stream.getvalue()


def test_a_failing_step_leaves_its_own_error() -> None:
    def fail() -> None:
        raise KeyError("mine")

    steps = progress.announced([("a", fail)], stream=Terminal())
    _, step = next(steps)
    with pytest.raises(KeyError, match="mine"):
        step()


def test_a_bar_counts_on_standard_error_of_a_terminal_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with progress.bar(2, "record") as hidden:
        hidden.update(2)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr", Terminal())
    with progress.bar(2, "record") as shown:
        shown.update(2)
        assert "2/2" in str(shown)
