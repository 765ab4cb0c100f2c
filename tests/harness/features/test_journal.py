from __future__ import annotations

import json
from pathlib import Path

from harness.features.journal import last_opened, note


def test_a_line_tells_when_who_and_what(tmp_path: Path) -> None:
    note(tmp_path, "opened", fingerprint="f")
    note(tmp_path, "handled", what="é\n")
    first, second = map(json.loads, (tmp_path / "journal.jsonl").read_text("utf-8").splitlines())
    assert (first["event"], first["fingerprint"]) == ("opened", "f")
    assert {"time", "pid", "host"} <= first.keys()
    assert second["what"] == "é\n"


def test_a_line_that_a_crash_cut_short_stays_by_itself(tmp_path: Path) -> None:
    note(tmp_path, "opened")
    path = tmp_path / "journal.jsonl"
    path.write_bytes(path.read_bytes() + b'{"time": "2026-')
    note(tmp_path, "handled", what="x")
    lines = path.read_text("utf-8").splitlines()
    assert len(lines) == 3
    assert json.loads(lines[2])["what"] == "x"


def test_the_last_writer_is_found_whatever_else_is_in_the_journal(tmp_path: Path) -> None:
    assert last_opened(tmp_path) == "an unknown process"
    (tmp_path / "journal.jsonl").write_bytes(b"\xff\xfe\n[1]\n" + b"[" * 9000 + b"\n")
    assert last_opened(tmp_path) == "an unknown process"
    note(tmp_path, "opened")
    own = json.loads((tmp_path / "journal.jsonl").read_bytes().splitlines()[-1])
    for number in range(3):
        note(tmp_path, "handled", what=number)
    assert last_opened(tmp_path) == (f"process {own['pid']} on {own['host']}, since {own['time']}")
