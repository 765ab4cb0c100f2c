"""What a command tells of text from outside cannot command the terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli import main

CLEAR_SCREEN = "\x1b[2J\x07"


def test_an_error_shows_control_characters_of_a_name_as_escapes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(tmp_path / f"run{CLEAR_SCREEN}")]) == 2
    shown = capsys.readouterr().err
    assert "run\\x1b[2J\\x07" in shown
    assert shown.removesuffix("\n").isprintable()
