"""From timed work to other work: known rates are found, and intervals hold what they promise."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedders import InputError
from harness.capacity import Estimate, Observation, Work, fit

LINEAR, ATTENTION, START = 1 / 400e9, 1 / 60e9, 5.0
"""Seconds per FLOP of two made-up rates, and seconds of a start."""


def timed(work: Work, noise: float = 1.0) -> Observation:
    seconds = work.linear_flops * LINEAR + work.attention_flops * ATTENTION + work.starts * START
    return Observation("made up", work, seconds * noise)


def mixed(share: float, flops: float = 1e12, starts: int = 0) -> Work:
    return Work(flops, share * flops, starts)


def test_two_rates_are_found_from_two_mixes_of_lengths() -> None:
    found = fit([timed(mixed(share)) for share in (0.05, 0.05, 0.3, 0.3)])
    assert found.terms == ("linear", "attention")
    assert found.seconds == pytest.approx((LINEAR, ATTENTION), rel=1e-9)


def test_starting_is_told_apart_where_runs_are_of_unlike_size() -> None:
    works = [mixed(0.1, 1e10, 1), mixed(0.05, 4e12, 1), mixed(0.3, 4e12, 1), mixed(0.3, 8e12, 1)]
    found = fit([timed(each) for each in works])
    assert found.terms == ("linear", "attention", "start")
    assert found.seconds == pytest.approx((LINEAR, ATTENTION, START), rel=1e-6)


def test_a_single_cold_run_is_left_aside() -> None:
    warm = [timed(mixed(0.2)), timed(mixed(0.2), 1.02)]
    assert fit([*warm, timed(mixed(0.05, starts=1))]) == fit(warm)


def test_runs_that_are_all_cold_and_alike_are_taken_as_they_are() -> None:
    found = fit([timed(mixed(0.2, starts=1)), timed(mixed(0.2, starts=1))])
    assert found.terms == ("all",)
    assert found.observations == 2


def test_one_mix_gives_one_rate_and_its_own_mean() -> None:
    found = fit([timed(mixed(0.2), noise) for noise in (0.98, 1.02)])
    assert found.terms == ("all",)
    assert found.predict(mixed(0.2)).value == pytest.approx(timed(mixed(0.2)).seconds, rel=1e-3)


def test_no_rate_is_without_end() -> None:
    # longer sequences are faster here, which two rates could only call free attention
    observations = [
        Observation("short", mixed(0.05), 10.0),
        Observation("short", mixed(0.05), 10.1),
        Observation("long", mixed(0.3), 8.0),
    ]
    assert fit(observations).terms == ("all",)


def test_a_single_observation_has_no_interval() -> None:
    found = fit([timed(mixed(0.2))]).predict(mixed(0.2))
    assert (found.lower, found.upper) == (None, None)


def test_nothing_timed_is_refused() -> None:
    with pytest.raises(InputError, match="nothing was timed"):
        fit([])


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.inf, math.nan])
def test_seconds_that_are_none_are_refused(seconds: float) -> None:
    with pytest.raises(InputError, match="a round"):
        Observation("a round", mixed(0.1), seconds)


def test_the_prediction_interval_holds_one_more_run_as_often_as_it_says() -> None:
    # 1,500 machines of 3% noise, three mixes timed twice each: 95% of new runs, give or take
    # three standard errors of such a share
    random = np.random.default_rng(0)
    held = 0
    for _ in range(1500):
        noise = iter(np.exp(random.normal(0, 0.03, 7)))
        found = fit([timed(mixed(s), next(noise)) for s in (0.03, 0.03, 0.1, 0.1, 0.3, 0.3)])
        new = timed(mixed(0.2, 5e12), next(noise))
        projected = found.predict(new.work)
        assert projected.lower is not None
        assert projected.upper is not None
        held += projected.lower <= new.seconds <= projected.upper
    assert held / 1500 == pytest.approx(0.95, abs=3 * math.sqrt(0.95 * 0.05 / 1500))


@given(st.floats(0.01, 2), st.floats(1, 8))
def test_one_rate_allows_for_attention_at_any_rate_up_to_the_dearest(
    share: float, dearness: float
) -> None:
    # the truth: attention's FLOPs take `dearness` times as long, but one mix was timed
    def seconds(work: Work) -> float:
        return (work.linear_flops + dearness * work.attention_flops) * LINEAR

    seen = mixed(0.2)
    found = fit([Observation("seen", seen, seconds(seen) * noise) for noise in (0.999, 1.001)])
    projected = found.predict(mixed(share))
    assert projected.lower is not None
    assert projected.upper is not None
    assert projected.lower <= seconds(mixed(share)) <= projected.upper


@given(st.floats(1.001, 1e6))
def test_a_warm_prediction_is_linear_in_the_work(factor: float) -> None:
    found = fit([timed(mixed(share), n) for share, n in ((0.05, 1.0), (0.3, 1.02), (0.3, 0.99))])
    once, more = found.predict(mixed(0.1)), found.predict(mixed(0.1).times(factor))
    for one, other in (
        (once.value, more.value),
        (once.lower, more.lower),
        (once.upper, more.upper),
    ):
        assert one is not None
        assert other == pytest.approx(one * factor, rel=1e-9)


def test_an_interval_widens_away_from_what_was_timed() -> None:
    noise = (1.0, 1.03, 0.98, 1.01, 0.99, 1.02)
    shares = (0.1, 0.1, 0.2, 0.2, 0.3, 0.3)
    found = fit([timed(mixed(s), n) for s, n in zip(shares, noise, strict=True)])
    widths = []
    for share in (0.2, 1.0, 5.0):
        projected = found.predict(mixed(share))
        assert projected.lower is not None
        assert projected.upper is not None
        widths.append(projected.upper / projected.lower)
    assert all(near < far for near, far in pairwise(widths))


def test_what_was_not_timed_is_known_as_such() -> None:
    found = fit([timed(mixed(share)) for share in (0.1, 0.3)])
    assert [found.extrapolates(mixed(share)) for share in (0.01, 0.1, 0.2, 0.3, 0.9)] == [
        *(True, False, False, False, True)
    ]


def test_the_error_of_a_ratio_is_both_errors_in_squares() -> None:
    # logarithms of 2 and of 2 add to sqrt(2) logarithms of 2
    ratio = Estimate(4.0, 2.0, 8.0).over(Estimate(1.0, 0.5, 2.0))
    assert ratio.value == 4
    assert ratio.lower == pytest.approx(4 / 2 ** math.sqrt(2))
    assert ratio.upper == pytest.approx(4 * 2 ** math.sqrt(2))


def test_a_ratio_without_both_intervals_has_none() -> None:
    assert Estimate(4.0, 2.0, 8.0).over(Estimate(2.0)) == Estimate(2.0)
