"""Components join whatever shares a group, and nothing else; their names say which group."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedders.errors import InputError
from harness.judge.grouping import components, connected

ROWS = 12
partition = st.lists(st.sampled_from("abcdefgh"), min_size=ROWS, max_size=ROWS)


def blocks(names: tuple[str, ...] | list[str]) -> set[frozenset[int]]:
    return {frozenset(row for row, each in enumerate(names) if each == name) for name in set(names)}


def by_hand(partitions: list[list[str]]) -> set[frozenset[int]]:
    """Merge sets until none meets another: slow, and plainly right."""
    found = [set(block) for names in partitions for block in blocks(names)]
    for _ in range(len(found)):
        for row in range(ROWS):
            met = [block for block in found if row in block]
            found = [block for block in found if row not in block] + [set().union(*met)]
    return {frozenset(block) for block in found}


@given(st.lists(partition, min_size=1, max_size=3))
def test_components_are_the_merged_groups(partitions: list[list[str]]) -> None:
    assert blocks(components(partitions)) == by_hand(partitions)


@given(partition, partition)
def test_joining_is_commutative(ours: list[str], theirs: list[str]) -> None:
    assert blocks(components([ours, theirs])) == blocks(components([theirs, ours]))


@given(partition, partition)
def test_joining_again_changes_nothing(ours: list[str], theirs: list[str]) -> None:
    once = components([ours, theirs])
    assert components([once, ours, theirs]) == components([once, once]) == once


@given(partition, partition, st.permutations(range(ROWS)))
def test_order_of_rows_does_not_change_a_component(
    ours: list[str], theirs: list[str], order: list[int]
) -> None:
    straight = components([ours, theirs])
    shuffled = components([[each[row] for row in order] for each in (ours, theirs)])
    assert shuffled == tuple(straight[row] for row in order)


@given(partition, partition)
def test_a_component_has_the_name_of_its_smallest_given_group(
    ours: list[str], theirs: list[str]
) -> None:
    names = components([ours, theirs])
    for block in blocks(names):
        assert {names[row] for row in block} == {min(ours[row] for row in block)}


def test_a_node_without_pairs_stands_alone() -> None:
    found = connected(3, np.empty((0, 2), dtype=np.int64))
    assert len(set(found.tolist())) == 3


def test_partitions_of_unlike_lengths_are_refused() -> None:
    with pytest.raises(InputError, match="names every row"):
        components([["a"], ["a", "b"]])
