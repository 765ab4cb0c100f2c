"""Rounds of like inputs, and the rates that follow from their seconds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedders import InputError, UnknownName
from harness.costs import Ceiling, Contest
from harness.measure import like_subsets, rate, summarise_rounds, time_rounds

CEILING = Ceiling("cpu", "float32", 1000.0, 1024, (1.0,), tf32=None)
CONTEST = Contest(
    ("a", "b"), {"a": (1.0, 2.0, 4.0), "b": (1.0, 1.0, 1.0)}, "perf_counter", 2, steady=True
)


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


def test_rates_are_medians_of_work_over_time() -> None:
    result = summarise_rounds(
        "baseline", "clock", residues=[100, 200, 300], sequences=10, seconds=[1.0, 1.0, 10.0]
    )
    assert result.residues_per_s == 100
    assert result.sequences_per_s == 10


def test_warm_up_rounds_come_first_and_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: clock[0])

    def work(number: int) -> None:
        clock[0] += 10.0**number

    assert time_rounds(work, rounds=2, warmup_rounds=1, device="cpu") == pytest.approx([10, 100])


def test_a_rate_is_the_median_over_rounds_and_utilisation_its_part_of_the_ceiling() -> None:
    # by hand: residues 100, 60, 100 a second; FLOPs 300, 150, 200; padded 500, 200, 100
    found = rate("a", CONTEST, [100, 120, 400], 8, [300, 300, 800], CEILING, [500, 400, 400])
    assert found.arm == "a"
    assert found.residues_per_s == 100
    assert found.sequences_per_s == 4
    assert found.flops_per_s == 200
    assert found.utilisation == 0.2
    assert found.padded_utilisation == 0.2


def test_an_arm_that_does_not_pad_has_no_padded_utilisation() -> None:
    assert rate("b", CONTEST, 1, 1, 1, CEILING).padded_utilisation is None


def test_work_of_another_number_of_rounds_is_refused() -> None:
    with pytest.raises(InputError, match="2 figures of 'a' for 3 counted rounds"):
        rate("a", CONTEST, [1, 2], 1, 1, CEILING)


def test_a_rate_of_an_arm_that_did_not_take_part_is_refused() -> None:
    with pytest.raises(UnknownName, match="'c'"):
        rate("c", CONTEST, 1, 1, 1, CEILING)
