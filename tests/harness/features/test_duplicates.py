from __future__ import annotations

import resource
import sqlite3
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.features import FolderError
from harness.features.duplicates import LONGEST_COMPARED, Repeat, first_repeat

MANY = 150_000  # some 6 MB of ids: more than the page cache holds


@given(st.lists(st.text(st.characters(max_codepoint=127), max_size=2), max_size=12))
def test_the_first_place_where_an_id_comes_again_is_found(ids: list[str]) -> None:
    seen: dict[str, int] = {}
    expected = None
    for number, each in enumerate(ids, 1):
        if each in seen:
            expected = Repeat(seen[each], number)
            break
        seen[each] = number
    assert first_repeat(ids) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [("a", "A"), ("1", "01"), ("1", "1.0"), ("a", "a\0"), ("a\0b", "a\0c"), ("a", "a ")],
)
def test_ids_that_differ_in_one_character_differ(one: str, other: str) -> None:
    assert first_repeat([one, other]) is None


def test_long_ids_are_compared_to_their_end() -> None:
    for length in (LONGEST_COMPARED, LONGEST_COMPARED + 1, 10**6):
        ids = ["a" * length, "a" * (length - 1) + "b", "a" * (length - 1)]
        assert first_repeat(ids) is None
        assert first_repeat([*ids, ids[1]]) == Repeat(2, 4)


@pytest.mark.parametrize("repeat", [None, Repeat(1, MANY), Repeat(MANY - 1, MANY), Repeat(7, 70)])
def test_ids_that_outgrow_memory_are_compared_on_the_disk(repeat: Repeat | None) -> None:
    ids = [f"a-name-of-usual-length-{number * 7919 % MANY}" for number in range(MANY)]
    if repeat is not None:
        ids[repeat.second - 1] = ids[repeat.first - 1]
    assert first_repeat(ids) == repeat


@pytest.fixture
def small_files() -> Iterator[None]:
    """Let no file grow beyond 1 MiB, which is how a full disk looks to a writer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("small_files")
def test_a_full_folder_for_temporary_files_is_an_error_that_names_the_remedy() -> None:
    with pytest.raises(FolderError, match=r"temporary files .*; free space there, or .*TMPDIR"):
        first_repeat(f"a-name-of-usual-length-{number}" for number in range(MANY))


def test_an_error_of_the_ids_passes_and_the_database_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[sqlite3.Connection] = []
    connect: Callable[..., sqlite3.Connection] = sqlite3.connect

    def watched(*arguments: object, **options: object) -> sqlite3.Connection:
        opened.append(connect(*arguments, **options))
        return opened[-1]

    def ids() -> Iterator[str]:
        yield "a"
        raise KeyError("of the caller")

    monkeypatch.setattr(sqlite3, "connect", watched)
    with pytest.raises(KeyError, match="of the caller"):
        first_repeat(ids())
    (database,) = opened
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        database.execute("SELECT 1")
