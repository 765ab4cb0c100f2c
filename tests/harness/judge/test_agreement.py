"""Where the arms agree, and the rows that they call differently."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.judge.agreement import MOST_LISTED, agreement, disagreements
from tests.harness.judge.invented import level, noisy

LABELS = np.arange(60) % 2


def test_shares_are_counted_row_by_row_and_seed_by_seed() -> None:
    before, after = noisy(LABELS, seeds=3, seed=1), noisy(LABELS, seeds=3, seed=2)
    found = agreement(level(LABELS, before), level(LABELS, after))
    assert [each.endpoint for each in found] == ["sensitivity", "specificity"]
    for each, label in zip(found, (1, 0), strict=True):
        counts = {"both": 0, "old": 0, "new": 0, "none": 0}
        total = 0
        for old_row, new_row in zip(before, after, strict=True):
            for truth, old, new in zip(LABELS, old_row, new_row, strict=True):
                if truth == label:
                    right, now = (old >= 0.5) == bool(label), (new >= 0.5) == bool(label)
                    counts[
                        "both" if right and now else "old" if right else "new" if now else "none"
                    ] += 1
                    total += 1
        assert each.both_right == pytest.approx(counts["both"] / total)
        assert each.only_baseline == pytest.approx(counts["old"] / total)
        assert each.only_candidate == pytest.approx(counts["new"] / total)
        assert each.both_wrong == pytest.approx(counts["none"] / total)


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_shares_add_up_to_one(first: int, second: int) -> None:
    arms = (level(LABELS, noisy(LABELS, seeds=2, seed=each)) for each in (first, second))
    for each in agreement(*arms):
        shares = (each.both_right, each.only_baseline, each.only_candidate, each.both_wrong)
        assert sum(shares) == pytest.approx(1)


def test_a_class_without_rows_has_no_agreement() -> None:
    hosts = level([0, 0], [0.1, 0.2])
    assert [each.endpoint for each in agreement(hosts, hosts)] == ["specificity"]


def test_arms_that_call_alike_disagree_nowhere() -> None:
    arm = level(LABELS, noisy(LABELS, seeds=3))
    assert disagreements(arm, arm, [str(row) for row in range(60)]) == ()


def test_disagreements_come_by_size_then_by_name_and_are_bounded() -> None:
    rows = 2 * MOST_LISTED
    before = level([1] * rows, [0.9] * rows)
    after = level([1] * rows, [0.4 - 0.3 * (row % 2) for row in range(rows)])
    names = [f"r{row:02}" for row in range(rows)]
    found = disagreements(before, after, names)
    assert [each.name for each in found] == names[1::2]
    assert all(each.label == "viral" for each in found)
    assert found[0].baseline == pytest.approx(0.9)
    assert found[0].candidate == pytest.approx(0.1)


def test_a_row_is_called_by_its_mean_over_seeds() -> None:
    before = level([1], [[0.9], [0.2]])  # 0.55: viral
    after = level([1], [[0.6], [0.3]])  # 0.45: host
    (found,) = disagreements(before, after, ["row"])
    assert found.baseline == pytest.approx(0.55)
    assert found.candidate == pytest.approx(0.45)


def test_equal_disagreements_come_by_name_whatever_their_sign_and_the_order_of_rows() -> None:
    before = level([0, 1, 0, 1], [0.25, 0.25, 0.75, 0.125])
    after = level([0, 1, 0, 1], [0.75, 0.75, 0.25, 0.75])
    for order in (["b", "a", "c", "most"], ["c", "b", "a", "most"]):
        found = [each.name for each in disagreements(before, after, order)]
        assert found == ["most", "a", "b", "c"]


def test_a_fall_weighs_as_much_as_a_rise() -> None:
    before, after = level([0, 0], [0.25, 1.0]), level([0, 0], [0.5, 0.25])
    assert [each.name for each in disagreements(before, after, ["rise", "fall"])] == [
        "fall",
        "rise",
    ]
