from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.features import LabelsError, join_labels, read_labels

GOOD = "id,label,group,genome\na,viral,g1,G1\nb,host,g2,G2\nc,viral,g1,G3\n"
# a NUL or a lone surrogate has no place in a UTF-8 text table
CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "labels.csv"
    path.write_bytes(text.encode("utf-8"))
    return path


@pytest.mark.parametrize("text", [GOOD, GOOD.replace("\n", "\r\n"), "\ufeff" + GOOD, GOOD + "\n"])
def test_a_table_is_read_with_its_further_columns(tmp_path: Path, text: str) -> None:
    labels = read_labels(write(tmp_path, text))
    assert labels.ids == ("a", "b", "c")
    assert labels.labels.tolist() == [1, 0, 1]
    assert labels.groups == ("g1", "g2", "g1")
    assert labels.columns == {"genome": ("G1", "G2", "G3")}


@given(
    rows=st.lists(
        st.tuples(CELLS, st.sampled_from(["viral", "host"]), CELLS, CELLS),
        min_size=1,
        unique_by=lambda row: row[0],
    )
)
def test_any_text_in_a_cell_survives(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str, str]]
) -> None:
    path = tmp_path_factory.mktemp("labels") / "labels.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([("id", "label", "group", "note"), *rows])
    labels = read_labels(path)
    assert labels.ids == tuple(row[0] for row in rows)
    assert labels.labels.tolist() == [int(row[1] == "viral") for row in rows]
    assert labels.groups == tuple(row[2] for row in rows)
    assert labels.columns["note"] == tuple(row[3] for row in rows)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no column 'id' or 'label' or 'group'"),
        ("id,label\na,viral\n", "no column 'group'"),
        ("id,label,group,id\na,viral,g,b\n", "named twice"),
        ("id,label,group\n", "has no rows"),
        ("id,label,group\na,viral\n", "line 2: 2 cells where the first line names 3"),
        ("id,label,group\na,viral,g,h\n", "line 2: 4 cells"),
        ("id,label,group\na,viral,g\nb,Viral,g\n", r"line 3 \('b'\): label 'Viral'"),
        ("id,label,group\na,1,g\n", "label '1'"),
        ("id,label,group\n,viral,g\n", "column 'id' is empty"),
        ("id,label,group\na,viral,\n", "column 'group' is empty"),
        ("id,label,group\na,viral,g\na,viral,g\n", "come more than once, 1: 'a'"),
        ('id,label,group\n"a"b,viral,g\n', "not a CSV file"),
    ],
)
def test_a_malformed_table_is_refused_by_name(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(LabelsError, match=rf"labels\.csv.*{problem}"):
        read_labels(write(tmp_path, text))


def test_a_missing_table_and_another_encoding_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LabelsError, match="cannot be read"):
        read_labels(tmp_path / "none.csv")
    (tmp_path / "labels.csv").write_bytes(GOOD.replace("G1", "É").encode("latin-1"))
    with pytest.raises(LabelsError, match="not a CSV file in UTF-8"):
        read_labels(tmp_path / "labels.csv")


def test_labels_are_joined_by_id_in_the_order_of_the_features(tmp_path: Path) -> None:
    joined = join_labels(("c", "a", "b"), read_labels(write(tmp_path, GOOD)))
    assert joined.ids == ("c", "a", "b")
    assert joined.labels.tolist() == [1, 1, 0]
    assert joined.groups == ("g1", "g1", "g2")
    assert joined.columns == {"genome": ("G3", "G1", "G2")}


@pytest.mark.parametrize(
    ("ids", "problem"),
    [
        (("a", "b", "c", "d"), "ids without a label, 1: 'd'"),
        (("a", "b"), "labels without features, 1: 'c'"),
        (("a", "b", "c", "b"), "more than once in the features, 1: 'b'"),
        (("a", "d"), "without a label, 1: 'd'; labels without features, 2: 'b', 'c'"),
    ],
)
def test_ids_that_do_not_pair_are_listed(
    tmp_path: Path, ids: tuple[str, ...], problem: str
) -> None:
    with pytest.raises(LabelsError, match=problem):
        join_labels(ids, read_labels(write(tmp_path, GOOD)))


def test_a_rejected_record_may_keep_its_label(tmp_path: Path) -> None:
    joined = join_labels(("a", "b"), read_labels(write(tmp_path, GOOD)), rejected={"c"})
    assert joined.ids == ("a", "b")


def test_any_column_may_name_the_groups(tmp_path: Path) -> None:
    labels = read_labels(write(tmp_path, GOOD))
    assert labels.column("group") == ("g1", "g2", "g1")
    assert labels.column("genome") == ("G1", "G2", "G3")


def test_a_column_of_groups_that_is_unknown_or_has_gaps_is_refused(tmp_path: Path) -> None:
    labels = read_labels(write(tmp_path, GOOD.replace("G2", "")))
    with pytest.raises(LabelsError, match=r"'genus'.*one of: group, genome"):
        labels.column("genus")
    with pytest.raises(LabelsError, match="'genome' is empty for ids 1: 'b'"):
        labels.column("genome")
