"""The early-stopping set takes whole groups and leaves both classes on both sides."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from classifier import ClassifierError, TooFewGroups
from classifier.holdout import held_out

rows = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from("abcdefghij")), min_size=4, max_size=80
)


def unzip(pairs: list[tuple[int, str]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([label for label, _ in pairs]), np.array([group for _, group in pairs])


def enough(pairs: list[tuple[int, str]]) -> bool:
    return all(len({g for y, g in pairs if y == label}) >= 2 for label in (0, 1))


@given(pairs=rows, fraction=st.floats(0.01, 0.99), seed=st.integers(0, 2**32 - 1))
def test_no_group_is_on_both_sides_and_both_classes_are(
    pairs: list[tuple[int, str]], fraction: float, seed: int
) -> None:
    assume(enough(pairs))
    labels, groups = unzip(pairs)
    out = held_out(labels, groups, fraction=fraction, seed=seed)
    assert not set(groups[out]) & set(groups[~out])
    assert set(labels[out]) == set(labels[~out]) == {0, 1}


@given(pairs=rows, seed=st.integers(0, 99), data=st.data())
def test_order_of_rows_does_not_change_which_groups_are_taken(
    pairs: list[tuple[int, str]], seed: int, data: st.DataObject
) -> None:
    assume(enough(pairs))
    labels, groups = unzip(pairs)
    order = np.array(data.draw(st.permutations(range(len(pairs)))))
    straight = held_out(labels, groups, fraction=0.2, seed=seed)
    shuffled = held_out(labels[order], groups[order], fraction=0.2, seed=seed)
    assert np.array_equal(straight[order], shuffled)


def test_equal_groups_give_the_fraction_asked() -> None:
    groups = np.array([f"g{i % 40}" for i in range(400)])
    labels = np.arange(400) % 2
    out = held_out(labels, groups, fraction=0.1, seed=3)
    # 20 groups of 10 rows per class: 10% is two groups of each
    assert [int(out[labels == label].sum()) for label in (0, 1)] == [20, 20]


def test_another_seed_draws_other_groups() -> None:
    groups = np.array([f"g{i}" for i in range(200)])
    labels = np.arange(200) % 2
    first, second = (held_out(labels, groups, fraction=0.1, seed=seed) for seed in (0, 1))
    assert not np.array_equal(first, second)


def test_one_group_of_a_class_is_too_few_and_the_message_says_which() -> None:
    with pytest.raises(TooFewGroups, match="1 viral group"):
        held_out(np.array([0, 0, 1, 1]), np.array(["a", "b", "c", "c"]), fraction=0.1, seed=0)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, float("nan")])
def test_a_fraction_outside_zero_to_one_is_refused(fraction: float) -> None:
    with pytest.raises(ClassifierError, match="fraction"):
        held_out(np.array([0, 0, 1, 1]), np.array(list("abcd")), fraction=fraction, seed=0)
