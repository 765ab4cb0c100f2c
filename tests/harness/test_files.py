from __future__ import annotations

from pathlib import Path

import pytest

from harness.files import (
    make_folder,
    remove_partials,
    set_aside,
    write_atomically,
    write_text_atomically,
)


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


def test_a_file_is_set_aside_under_the_next_number(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        (tmp_path / "a.pt").write_text(str(number))
        moved = set_aside(tmp_path / "a.pt", tmp_path / "aside")
        assert moved == tmp_path / "aside" / f"a.pt.{number}"
        assert moved.read_text() == str(number)
    assert not (tmp_path / "a.pt").exists()


def test_only_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    for name in (".a.pt.0a1b.partial", "a.partial", "a.pt", ".lock"):
        (tmp_path / name).touch()
    remove_partials(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"a.partial", "a.pt", ".lock"}


def test_a_folder_is_made_with_all_above_it_and_may_be_there_already(tmp_path: Path) -> None:
    for _ in range(2):
        make_folder(tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a" / "b" / "c").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="exists"):
        make_folder(tmp_path / "file")
