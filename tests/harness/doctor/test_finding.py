"""Findings: what is not needed is never missing, and the sum of them."""

from __future__ import annotations

import json

import pytest

from harness.doctor import Examination, Finding, Status, screen
from harness.doctor.finding import fine, lacking
from harness.doctor.screen import COLUMNS


def test_what_is_absent_is_missing_only_if_it_is_needed() -> None:
    assert lacking("x", "gone", "fetch it", needed=True).status is Status.MISSING
    assert lacking("x", "gone", "fetch it", needed=False).status is Status.NOTE


def test_only_what_is_needed_can_be_missing() -> None:
    with pytest.raises(ValueError, match="cannot be missing"):
        Finding("x", Status.MISSING, needed=False, found="gone", remedy="fetch it")


@pytest.mark.parametrize(("status", "remedy"), [(Status.OK, "fetch it"), (Status.NOTE, "")])
def test_a_remedy_stands_with_every_fault_and_with_nothing_else(
    status: Status, remedy: str
) -> None:
    with pytest.raises(ValueError, match="with remedy"):
        Finding("x", status, needed=False, found="", remedy=remedy)


def test_notes_leave_it_ok_and_one_missing_thing_does_not() -> None:
    note = lacking("GPU", "none", "buy one", needed=False)
    gone = lacking("disk", "full", "tidy up", needed=True)
    assert Examination((fine("Python", "3.12"), note)).ok
    assert not Examination((fine("Python", "3.12"), note, gone)).ok


def test_document_has_the_declared_schema() -> None:
    found = lacking("disk", "full", "tidy up", needed=True, details={"free_bytes": 0})
    assert json.loads(json.dumps(Examination((found,)).document())) == {
        "schema": "doctor/1",
        "ok": False,
        "findings": [
            {
                "subject": "disk",
                "status": "missing",
                "needed": True,
                "found": "full",
                "remedy": "tidy up",
                "details": {"free_bytes": 0},
            }
        ],
    }


def test_screen_keeps_to_its_width_and_names_what_is_missing() -> None:
    text = "word " * 60
    found = [lacking("candidate memory", text, text, needed=True), fine("disk", "room")]
    shown = screen(Examination(tuple(found)))
    assert max(map(len, shown.splitlines())) <= COLUMNS
    assert shown.splitlines()[-1] == "not ready; missing: candidate memory"
    assert shown.count("word") == 120


def test_text_from_a_file_cannot_write_to_the_terminal() -> None:
    found = lacking("baseline", "weights \x1b[2J\ngone", "fetch", needed=True)
    shown = screen(Examination((found,)))
    assert "\x1b" not in shown
    assert "weights \\x1b[2J gone → fetch" in shown
