"""Arms in turn: alternating order, a warm-up that ends when steady, an honest interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, repeat

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from embedders import InputError, UnknownName
from harness.costs import Speedup
from harness.measure import (
    control,
    holds_one,
    interleave,
    speedup_in,
    summarise_pairs,
)

Work = Callable[[int], object]


class Clock:
    """Stands in for ``time.perf_counter``; work moves it on by what it costs."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def costing(self, seconds: Iterator[float]) -> Work:
        """Return work that takes the next of these each time it is called."""

        def work(_: int) -> None:
            self.now += next(seconds)

        return work


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("time.perf_counter", made)
    return made


def test_order_alternates_and_warm_up_does_not_count() -> None:
    calls: list[tuple[str, int]] = []
    contest = interleave(
        {
            "baseline": lambda index: calls.append(("baseline", index)),
            "candidate": lambda index: calls.append(("candidate", index)),
        },
        rounds=3,
        max_warmup_rounds=1,
        device="cpu",
    )
    result = speedup_in(contest, "baseline", "candidate")
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

    contest = interleave(
        {"baseline": lambda _: work("baseline"), "candidate": lambda _: work("candidate")},
        rounds=4,
        max_warmup_rounds=1,
        device="cpu",
    )
    result = speedup_in(contest, "baseline", "candidate")
    assert result.baseline_s == (3.0,) * 4
    assert result.candidate_s == (1.0,) * 4
    assert result.ratio == pytest.approx(3.0)


def settling(first: Sequence[float], then: float) -> Iterator[float]:
    return chain(first, repeat(then))


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


def test_a_single_pair_has_no_interval() -> None:
    with pytest.raises(InputError, match="at least 2 paired rounds, not 1"):
        summarise_pairs([(2.0, 1.0)])


def test_three_arms_are_reversed_every_other_round() -> None:
    calls: list[str] = []
    arms: dict[str, Work] = {name: lambda _, name=name: calls.append(name) for name in "abc"}  # type: ignore[misc]
    interleave(arms, rounds=2, device="cpu", max_warmup_rounds=0)
    assert calls == ["a", "b", "c", "c", "b", "a"]


def test_warm_up_ends_when_two_windows_of_every_arm_agree(clock: Clock) -> None:
    # windows of 5, half of the most that is allowed: the medians of rounds 0-4 and 5-9 agree
    arms = {"a": clock.costing(settling([9.0, 5.0], 1.0)), "b": clock.costing(repeat(0.5))}
    contest = interleave(arms, rounds=2, device="cpu", max_warmup_rounds=10)
    assert (contest.warmup_rounds, contest.steady) == (10, True)
    assert contest.seconds == {"a": (1.0, 1.0), "b": (0.5, 0.5)}
    assert contest.clock == "perf_counter"


def test_one_arm_that_still_drifts_keeps_the_other_waiting(clock: Clock) -> None:
    drifting = settling([3.0, 3.0, 3.0, 2.0, 1.5, 1.2], 1.0)
    arms = {"a": clock.costing(repeat(30.0)), "b": clock.costing(drifting)}
    contest = interleave(arms, rounds=1, device="cpu")
    # slow rounds, so windows of 2: 6-7 and 8-9 are the first in which b agrees
    assert (contest.warmup_rounds, contest.steady) == (10, True)


def test_slow_rounds_have_short_windows(clock: Clock) -> None:
    contest = interleave({"a": clock.costing(repeat(30.0))}, rounds=1, device="cpu")
    assert (contest.warmup_rounds, contest.steady) == (4, True)


def test_fast_rounds_have_windows_of_ten_if_twenty_rounds_are_allowed(clock: Clock) -> None:
    arms = {"a": clock.costing(repeat(0.001))}
    contest = interleave(arms, rounds=1, device="cpu", max_warmup_rounds=50)
    assert (contest.warmup_rounds, contest.steady) == (20, True)


def test_an_arm_that_never_settles_is_measured_and_said_to_be_unsteady(clock: Clock) -> None:
    growing = (1.1**number for number in range(100))
    contest = interleave({"a": clock.costing(growing)}, rounds=3, device="cpu")
    assert (contest.warmup_rounds, contest.steady) == (10, False)
    assert contest.rounds == 3


@pytest.mark.parametrize(("change", "steady"), [(1.019, True), (1.021, False)])
def test_windows_may_differ_by_two_per_cent_up_or_down(
    clock: Clock, change: float, steady: bool
) -> None:
    for before, after in ((1.0, change), (change, 1.0)):
        seconds = chain([before] * 2, repeat(after))
        arms = {"a": clock.costing(seconds)}
        contest = interleave(arms, rounds=1, device="cpu", max_warmup_rounds=4)
        assert contest.steady is steady


@pytest.mark.parametrize("most", [0, 1, 3])
def test_too_few_warm_up_rounds_to_tell_is_not_steady(clock: Clock, most: int) -> None:
    arms = {"a": clock.costing(repeat(1.0))}
    contest = interleave(arms, rounds=1, device="cpu", max_warmup_rounds=most)
    assert (contest.warmup_rounds, contest.steady) == (most, False)


def test_counted_rounds_have_numbers_that_the_warm_up_had_not() -> None:
    calls: list[int] = []
    contest = interleave({"a": calls.append}, rounds=3, device="cpu", max_warmup_rounds=3)
    assert calls == [0, 1, 2, 3, 4, 5]
    assert list(contest.numbers) == [3, 4, 5]


@pytest.mark.parametrize(("arms", "rounds", "warmup"), [(0, 1, 0), (1, 0, 0), (1, 1, -1)])
def test_a_contest_of_nothing_is_refused(arms: int, rounds: int, warmup: int) -> None:
    with pytest.raises(InputError, match="needs arms and rounds"):
        interleave(
            {str(number): abs for number in range(arms)},
            rounds=rounds,
            device="cpu",
            max_warmup_rounds=warmup,
        )


def test_a_speed_up_is_of_the_named_arms_in_the_named_order(clock: Clock) -> None:
    costs = {"slow": 8.0, "middle": 4.0, "fast": 1.0}
    arms = {name: clock.costing(repeat(cost)) for name, cost in costs.items()}
    contest = interleave(arms, rounds=2, device="cpu", max_warmup_rounds=0)
    assert speedup_in(contest, "slow", "fast").ratio == pytest.approx(8)
    assert speedup_in(contest, "fast", "middle").ratio == pytest.approx(1 / 4)
    with pytest.raises(UnknownName, match="'medium'"):
        speedup_in(contest, "slow", "medium")


@given(st.floats(0.001, 0.02) | st.floats(-0.02, -0.001), st.integers(1, 10), st.integers(0, 5))
def test_an_arm_against_itself_on_a_drifting_machine_holds_one(
    drift: float, pairs: int, warmup: int
) -> None:
    clock = Clock()
    work = clock.costing(math.exp(drift * call) for call in range(10_000))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.perf_counter", clock)
        found = control(work, rounds=2 * pairs, device="cpu", max_warmup_rounds=warmup)
    assert found.ratio == pytest.approx(1)
    assert holds_one(found)


def test_an_arm_against_itself_misses_one_as_rarely_as_the_interval_says(clock: Clock) -> None:
    draw = np.random.default_rng(0)
    work = clock.costing(iter(lambda: float(draw.lognormal(0, 0.05)), None))
    controls = 400
    held = sum(
        holds_one(control(work, rounds=6, device="cpu", max_warmup_rounds=0))
        for _ in range(controls)
    )
    # 95% of them, within three binomial standard deviations (1.1% each)
    assert held / controls == pytest.approx(0.95, abs=0.033)


@pytest.mark.parametrize(
    ("lower", "upper", "holds"), [(0.9, 1.1, True), (1.01, 1.2, False), (0.8, 0.99, False)]
)
def test_an_interval_holds_one_or_does_not(lower: float, upper: float, holds: bool) -> None:
    assert holds_one(Speedup((1.0,), (1.0,), 1.0, lower, upper, 0.95)) is holds
