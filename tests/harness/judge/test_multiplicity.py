"""Several candidates share one alpha: as the textbooks have it, by other means than ours."""

from __future__ import annotations

import doctest
import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from embedders.errors import InputError
from harness.costs import Speedup
from harness.evidence import Decision
from harness.judge import multiplicity
from harness.judge.gate import SPEEDUP, speedup_gate
from harness.judge.multiplicity import (
    Multiplicity,
    adjusted_p_values,
    gate_p_values,
    shares_of_alpha,
    speedup_p_value,
)
from tests.harness.example_run import comparison, judged

HOLM, BONFERRONI, SEQUENCE = Multiplicity
METHODS = list(Multiplicity)
several = st.lists(st.integers(0, 60).map(lambda part: part / 240), min_size=1, max_size=6)
"""On and between the steps of the rules."""
alphas = st.sampled_from([0.05, 0.1, 0.2])

BENJAMINI_HOCHBERG = (
    *(0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344),
    *(0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0),
)
"""The 15 p-values of Benjamini and Hochberg 1995, Journal of the Royal Statistical Society B
57:289, section 3.2."""


def passing(p_values: Sequence[float], alpha: float, method: Multiplicity) -> list[bool]:
    shares = shares_of_alpha(p_values, alpha=alpha, method=method)
    return [share is not None and p < share for p, share in zip(p_values, shares, strict=True)]


def closure(p_values: Sequence[float], alpha: float) -> list[bool]:
    """Close Bonferroni's test: one passes if every set of hypotheses with it is rejected.

    Marcus, Peritz and Gabriel 1976, Biometrika 63:655.
    """
    places = range(len(p_values))
    sets = [each for size in places for each in combinations(places, size + 1)]
    kept = [each for each in sets if min(p_values[i] for i in each) >= alpha / len(each)]
    return [not any(place in each for each in kept) for place in places]


@given(several, alphas)
def test_holm_passes_whom_closed_testing_passes(p_values: list[float], alpha: float) -> None:
    assert passing(p_values, alpha, HOLM) == closure(p_values, alpha)


def test_holm_rejects_as_in_the_textbook_example() -> None:
    """Four p-values at 0.05: the two smallest are rejected, 0.03 is above 0.05 / 2."""
    assert passing([0.01, 0.04, 0.03, 0.005], 0.05, HOLM) == [True, False, False, True]
    # by hand: 4 · 0.005, 3 · 0.01, 2 · 0.03, and 0.04 no smaller than the one before it
    by_hand = [0.03, 0.06, 0.06, 0.02]
    assert adjusted_p_values([0.01, 0.04, 0.03, 0.005], HOLM) == pytest.approx(by_hand)


@pytest.mark.parametrize("method", [HOLM, BONFERRONI])
def test_three_of_the_published_fifteen_are_rejected(method: Multiplicity) -> None:
    """So their section 3.2 has it of Bonferroni and of Hochberg, and Holm lies between these."""
    assert sum(passing(BENJAMINI_HOCHBERG, 0.05, method)) == 3


@given(several, alphas, st.sampled_from(METHODS))
def test_who_passes_has_an_adjusted_p_value_below_alpha(
    p_values: list[float], alpha: float, method: Multiplicity
) -> None:
    found = adjusted_p_values(p_values, method)
    for passed, p in zip(passing(p_values, alpha, method), found, strict=True):
        assert passed == (p < alpha) or math.isclose(p, alpha)


@given(several, alphas)
def test_holm_passes_whomever_bonferroni_passes(p_values: list[float], alpha: float) -> None:
    strict, ours = (passing(p_values, alpha, each) for each in (BONFERRONI, HOLM))
    assert all(own or not other for own, other in zip(ours, strict, strict=True))


@given(st.floats(0, 1), alphas, st.sampled_from(METHODS))
def test_a_lone_candidate_has_all_of_alpha(p: float, alpha: float, method: Multiplicity) -> None:
    assert shares_of_alpha([p], alpha=alpha, method=method) == (alpha,)


@given(several, alphas)
def test_a_sequence_asks_nobody_behind_the_first_that_does_not_pass(
    p_values: list[float], alpha: float
) -> None:
    shares = shares_of_alpha(p_values, alpha=alpha, method=SEQUENCE)
    first = next((n for n, p in enumerate(p_values) if p >= alpha), len(p_values))
    assert shares == tuple(alpha if n <= first else None for n in range(len(p_values)))


@given(several, alphas)
def test_the_order_of_the_candidates_is_nothing_to_holm(
    p_values: list[float], alpha: float
) -> None:
    there = shares_of_alpha(p_values, alpha=alpha, method=HOLM)
    back = shares_of_alpha(p_values[::-1], alpha=alpha, method=HOLM)
    assert there == back[::-1]


def test_nobody_to_judge_is_refused() -> None:
    with pytest.raises(InputError, match="no candidate"):
        shares_of_alpha([], alpha=0.025, method=HOLM)


@given(st.lists(st.floats(0.2, 5), min_size=2, max_size=8), st.floats(0.5, 3))
def test_p_value_of_a_speedup_is_that_of_a_one_sample_t_test(
    ratios: list[float], limit: float
) -> None:
    paired = Speedup(tuple(ratios), (1.0,) * len(ratios), 1.0, 1.0, 1.0, 0.95)
    logs = [math.log(each) for each in ratios]
    if max(ratios) / min(ratios) < 1.001:
        return  # rounding is all the spread there is
    wanted = stats.ttest_1samp(logs, math.log(limit), alternative="greater").pvalue
    assert speedup_p_value(paired, limit) == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize(("limit", "p"), [(1.5, 0.0), (2.0, 0.0), (2.5, 1.0)])
def test_rounds_without_spread_are_certain(limit: float, p: float) -> None:
    paired = Speedup((2.0, 2.0), (1.0, 1.0), 2.0, 2.0, 2.0, 0.95)
    assert speedup_p_value(paired, limit) == p
    assert (speedup_gate(paired, limit).decision is Decision.PASS) == (p == 0)


def test_required_gates_alone_have_p_values_and_those_without_intervals_are_certain() -> None:
    run = judged(comparison())
    beside = replace(run.gates[0], name="beside", required=False)
    run = replace(run, gates=(*run.gates, beside), speedup=None)
    found = gate_p_values(run, {"d": {("chunk", "sensitivity"): 0.2}})
    assert "beside" not in found
    assert found["d: sensitivity per chunk"] == 0.2
    certain = {gate.name: float(gate.decision is not Decision.PASS) for gate in run.gates}
    assert found[SPEEDUP] == certain[SPEEDUP]
    assert found["candidate: protein width"] == 0.0
    assert found["candidate: parity"] == 1.0  # not measured


def test_the_examples_in_the_documentation_hold() -> None:
    assert doctest.testmod(multiplicity).failed == 0
