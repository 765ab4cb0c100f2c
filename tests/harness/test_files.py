from __future__ import annotations

from pathlib import Path

import pytest

from harness.files import write_atomically, write_text_atomically


def test_a_written_file_holds_exactly_the_text_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_text_atomically(path, "é\r\nb\n")
    assert path.read_bytes() == b"\xc3\xa9\r\nb\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failing_writer_leaves_the_old_file_and_no_partial_one(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def fail_half_way(partial: Path) -> None:
        partial.write_bytes(b"ne")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, fail_half_way)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_final_name_is_not_there_while_the_writer_is_at_work(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    seen: list[bool] = []

    def look(partial: Path) -> None:
        partial.write_bytes(b"half")
        seen.append(path.exists())
        assert partial.parent == path.parent  # a rename is atomic only within one file system
        partial.write_bytes(b"whole")

    write_atomically(path, look)
    assert seen == [False]
    assert path.read_bytes() == b"whole"
