"""No group is on both sides of a fold, and both arms get the same folds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from embedders.errors import InputError
from harness.judge.splits import TooFewGenomes, grouped_folds, row_folds


def table(sizes: list[int]) -> tuple[NDArray[np.int64], list[str]]:
    """Groups of the given sizes, host and viral in turn."""
    groups = [f"g{number:03}" for number, size in enumerate(sizes) for _ in range(size)]
    labels = [number % 2 for number, size in enumerate(sizes) for _ in range(size)]
    return np.array(labels, dtype=np.int64), groups


group_sizes = st.lists(st.integers(1, 4), min_size=12, max_size=30)


@settings(deadline=None)
@given(sizes=group_sizes, folds=st.integers(2, 4), seed=st.integers(0, 2**32 - 1))
def test_every_row_is_tested_once_and_no_group_is_parted(
    sizes: list[int], folds: int, seed: int
) -> None:
    labels, groups = table(sizes)
    names = np.array(groups)
    cut = grouped_folds(labels, groups, folds, seed)
    assert len(cut) == folds
    assert sorted(np.concatenate([fold.test for fold in cut])) == list(range(len(labels)))
    for fold in cut:
        assert sorted([*fold.train, *fold.test]) == list(range(len(labels)))
        assert not set(names[fold.train]) & set(names[fold.test])
        assert set(labels[fold.train]) == set(labels[fold.test]) == {0, 1}


@settings(deadline=None)
@given(sizes=group_sizes, seed=st.integers(0, 99), data=st.data())
def test_order_of_rows_does_not_change_the_folds(
    sizes: list[int], seed: int, data: st.DataObject
) -> None:
    labels, groups = table(sizes)
    order = np.array(data.draw(st.permutations(range(len(labels)))))
    straight = grouped_folds(labels, groups, 3, seed)
    shuffled = grouped_folds(labels[order], [groups[row] for row in order], 3, seed)
    for ours, theirs in zip(straight, shuffled, strict=True):
        assert np.array_equal(ours.test, np.sort(order[theirs.test]))


def test_same_seed_same_folds_another_seed_other_folds() -> None:
    labels, groups = table([3] * 40)
    first, again, other = (grouped_folds(labels, groups, 5, seed) for seed in (0, 0, 1))
    assert all(np.array_equal(a.test, b.test) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a.test, b.test) for a, b in zip(first, other, strict=True))


def test_classes_keep_their_shares_in_every_fold() -> None:
    labels, groups = table([5] * 60)
    for fold in grouped_folds(labels, groups, 5, 0):
        # 30 groups of each class over 5 folds: 6 groups of 5 rows each
        assert np.bincount(labels[fold.test]).tolist() == [30, 30]


def test_fewer_groups_than_folds_names_the_class_and_the_count() -> None:
    labels, groups = table([2] * 7)
    with pytest.raises(TooFewGenomes, match=r"3 viral group.*at most 3 folds"):
        grouped_folds(labels, groups, 4, 0)


def test_a_single_group_is_advised_no_number_of_folds() -> None:
    with pytest.raises(TooFewGenomes, match=r"1 viral group.*; add viral genomes, or, where"):
        grouped_folds([0, 0, 1], ["a", "b", "c"], 2, 0)


def test_a_cut_that_leaves_a_fold_without_a_class_is_refused() -> None:
    # three groups of each class, one of them shared: the greedy cut puts two hosts together
    groups = ["both", "both", "h1", "h2", "v1", "v2"]
    with pytest.raises(TooFewGenomes, match="ask for fewer folds"):
        grouped_folds([0, 1, 0, 0, 1, 1], groups, 3, 0)


def test_a_giant_group_is_named_with_its_rows_and_the_remedy() -> None:
    # three components of each class, but one of the hosts' also holds every viral row but two
    labels = [0] * 9 + [1] * 9
    groups = ["giant"] * 7 + ["h1", "h2"] + ["giant"] * 7 + ["v1", "v2"]
    with pytest.raises(TooFewGenomes, match=r"'giant' alone holds 7 of the 9 .*splits\.identity"):
        grouped_folds(labels, groups, 3, 0)


def test_rows_are_cut_whatever_their_groups() -> None:
    labels = np.array([0, 1] * 10)
    cut = row_folds(labels, 5, 0)
    assert sorted(np.concatenate([fold.test for fold in cut])) == list(range(20))
    assert all(np.bincount(labels[fold.test]).tolist() == [2, 2] for fold in cut)


def test_fewer_rows_of_a_class_than_folds_are_refused() -> None:
    with pytest.raises(TooFewGenomes, match="1 row"):
        row_folds([0, 0, 1], 2, 0)


@pytest.mark.parametrize(
    ("labels", "groups", "folds", "message"),
    [
        ([0, 1], ["a"], 2, "2 labels for 1 groups"),
        ([0, 2], ["a", "b"], 2, "0 .host. or 1"),
        ([0, 1], ["a", "b"], 1, "at least 2"),
        ([0, 0, 0], ["a", "b", "c"], 2, "0 viral group"),
    ],
)
def test_columns_that_cannot_be_folded_are_refused(
    labels: list[int], groups: list[str], folds: int, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        grouped_folds(labels, groups, folds, 0)
