"""Timing in pairs: like inputs, alternating order, an interval that means what it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from embedders import InputError
from harness.measure import like_subsets, paired_speedup, summarise_pairs, summarise_rounds


@given(
    st.lists(st.integers(1, 2000), min_size=24, max_size=200),
    st.integers(1, 4),
    st.integers(1, 6),
)
def test_subsets_are_disjoint_and_of_the_asked_size(
    lengths: list[int], subsets: int, rows: int
) -> None:
    drawn = like_subsets(lengths, subsets=subsets, rows=rows)
    assert [len(subset) for subset in drawn] == [rows] * subsets
    flat = [index for subset in drawn for index in subset]
    assert len(set(flat)) == len(flat)


def test_subsets_share_the_length_mix() -> None:
    lengths = [int(x) for x in np.random.default_rng(0).lognormal(5.7, 0.6, size=1000)]
    sums = [sum(lengths[i] for i in subset) for subset in like_subsets(lengths, subsets=5, rows=90)]
    assert max(sums) / min(sums) < 1.05


def test_too_few_sequences_is_an_error_with_the_remedy() -> None:
    with pytest.raises(InputError, match=r"lower throughput\.sequences or rounds"):
        like_subsets([5, 6], subsets=2, rows=2)


def test_order_alternates_and_warm_up_does_not_count() -> None:
    calls: list[tuple[str, int]] = []
    result = paired_speedup(
        lambda index: calls.append(("baseline", index)),
        lambda index: calls.append(("candidate", index)),
        rounds=3,
        warmup_rounds=1,
        device="cpu",
    )
    assert [arm for arm, _ in calls] == [
        *("baseline", "candidate", "candidate", "baseline"),
        *("baseline", "candidate", "candidate", "baseline"),
    ]
    assert [index for _, index in calls] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert len(result.baseline_s) == len(result.candidate_s) == 3


def test_seconds_go_to_the_arm_that_took_them(monkeypatch: pytest.MonkeyPatch) -> None:
    cost = {"baseline": 3.0, "candidate": 1.0}
    clock = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: clock[0])

    def work(arm: str) -> None:
        clock[0] += cost[arm]

    result = paired_speedup(
        lambda _: work("baseline"),
        lambda _: work("candidate"),
        rounds=4,
        warmup_rounds=1,
        device="cpu",
    )
    assert result.baseline_s == (3.0,) * 4
    assert result.candidate_s == (1.0,) * 4
    assert result.ratio == pytest.approx(3.0)


def test_interval_is_students_t_of_the_log_ratios() -> None:
    pairs = [(2.0, 1.0), (2.2, 1.0), (1.9, 1.1), (2.4, 1.0)]
    logs = [math.log(a / b) for a, b in pairs]
    expected = stats.ttest_1samp(logs, 0.0).confidence_interval(0.95)
    result = summarise_pairs(pairs)
    assert math.log(result.lower) == pytest.approx(expected.low)
    assert math.log(result.upper) == pytest.approx(expected.high)
    assert result.ratio == pytest.approx(stats.gmean([a / b for a, b in pairs]))
    # what a table shows beside it: the two geometric means give the same ratio
    means = stats.gmean(result.baseline_s) / stats.gmean(result.candidate_s)
    assert result.ratio == pytest.approx(means)


def test_swapping_the_arms_inverts_the_speed_up() -> None:
    pairs = [(2.0, 1.0), (2.2, 1.0), (1.9, 1.1)]
    there = summarise_pairs(pairs)
    back = summarise_pairs([(b, a) for a, b in pairs])
    assert there.ratio * back.ratio == pytest.approx(1)
    assert there.lower * back.upper == pytest.approx(1)


def test_rates_are_medians_of_work_over_time() -> None:
    result = summarise_rounds(
        "baseline", "clock", residues=[100, 200, 300], sequences=10, seconds=[1.0, 1.0, 10.0]
    )
    assert result.residues_per_s == 100
    assert result.sequences_per_s == 10
