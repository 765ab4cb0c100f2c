"""The table of rows comes back from its file, and strata follow from it alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embedders.errors import InputError
from harness.judge.rows import COLUMNS, Rows, joined, length_stratum, read_rows, strata, write_rows
from harness.judge.splits import SplitError
from harness.spec import GroupSource

ACCESSION, COLUMN, HOMOLOGY = GroupSource.ACCESSION, GroupSource.COLUMN, GroupSource.HOMOLOGY


def rows(ids: list[str], *, text: str = "g") -> Rows:
    count = len(ids)
    return Rows(
        ids=tuple(ids),
        contigs=tuple(ids),
        labels=("viral",) * count,
        groups=(text,) * count,
        clusters=("",) * count,
        components=(text,) * count,
        residues=tuple(range(50, 50 + count)),
        frames=("F1",) * count,
    )


words = st.text(st.characters(codec="utf-8"), min_size=1)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ids=st.lists(words, min_size=1, max_size=5, unique=True), text=words)
def test_any_text_comes_back_from_the_file(tmp_path: Path, ids: list[str], text: str) -> None:
    written = rows(sorted(ids), text=text)
    write_rows(tmp_path / "d.csv", written)
    assert read_rows(tmp_path / "d.csv") == written


def test_the_file_does_not_depend_on_the_order_of_the_rows(tmp_path: Path) -> None:
    for name, order in (("a", [0, 1, 2]), ("b", [2, 0, 1])):
        whole = rows(["x", "y", "z"])
        columns = [
            tuple(column[row] for row in order)
            for column in (getattr(whole, each) for each in Rows.__dataclass_fields__)
        ]
        write_rows(tmp_path / name, Rows(*columns))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_formula_is_no_formula_in_the_file(tmp_path: Path) -> None:
    write_rows(tmp_path / "d.csv", rows(["=cmd()"]))
    lines = (tmp_path / "d.csv").read_text("utf-8").splitlines()
    assert lines == [",".join(COLUMNS), "'=cmd(),'=cmd(),viral,g,,g,50,F1"]
    assert read_rows(tmp_path / "d.csv").ids == ("=cmd()",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,contig\na,b\n", "no table|not a table"),
        (",".join((*COLUMNS, "more")) + "\na,a,host,g,,g,5,,x\n", "has the columns"),
        (",".join(COLUMNS) + "\na,a,ghost,g,,g,5,\n", "'ghost'"),
        (",".join(COLUMNS) + "\na,a,host,g,,g,5,\na,a,host,g,,g,5,\n", "twice"),
        (",".join(COLUMNS) + "\na,a,host,g,,g,long,\n", "not a table"),
        (",".join(COLUMNS) + "\n", "at least 1"),
    ],
)
def test_another_file_is_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "d.csv"
    file.write_text(text, "utf-8")
    with pytest.raises(InputError, match=message) as caught:
        read_rows(file)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    ("residues", "name"),
    [
        (1, "1-60"),
        (60, "1-60"),
        (61, "61-120"),
        (180, "121-180"),
        (400, "181-400"),
        (401, "over 400"),
        (35_000, "over 400"),
    ],
)
def test_lengths_fall_into_the_named_strata(residues: int, name: str) -> None:
    assert length_stratum(residues) == name


def test_strata_are_in_the_order_asked_for() -> None:
    found = strata(rows([f"r{n:02}" for n in range(20)]), ["r19", "r00"])
    assert found == {"length": ("61-120", "1-60"), "group": ("g", "g"), "frame": ("F1", "F1")}


def test_an_id_that_was_not_grouped_is_named() -> None:
    with pytest.raises(InputError, match="'ghost'"):
        strata(rows(["a"]), ["a", "ghost"])


def test_a_component_is_named_by_its_given_group_where_the_column_counts() -> None:
    groups, contigs, clusters = ["g2", "g1", "g3"], ["c1", "c2", "c3"], ["k", "k", "l"]
    every = (ACCESSION, COLUMN, HOMOLOGY)
    assert joined(groups, contigs, clusters, every) == ("g1", "g1", "g3")
    assert joined(groups, contigs, clusters, (HOMOLOGY, ACCESSION)) == ("c1", "c1", "c3")
    assert joined(groups, contigs, clusters, (COLUMN,)) == ("g2", "g1", "g3")


def test_a_contig_that_would_be_parted_is_named_with_the_remedy() -> None:
    with pytest.raises(SplitError, match=r"'c1' would be in groups 'k' and 'l'.*'accession'"):
        joined(["g", "g"], ["c1", "c1"], ["k", "l"], (HOMOLOGY,))
