"""Every row is in one stratum of each kind, and each stratum is judged on its rows alone."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.evidence import Stratum
from harness.judge import noninferiority
from harness.judge.stratification import OTHERS, of_contigs, stratified
from harness.results import to_json
from harness.spec import Gates
from tests.harness.judge.invented import level, noisy

GATES = Gates(sensitivity_margin=0.05, specificity_margin=0.02)
MEMBER = np.arange(400) // 10
LABELS = MEMBER % 2
BASELINE = level(LABELS, noisy(LABELS, seeds=3), MEMBER)
CANDIDATE = level(LABELS, noisy(LABELS, seeds=3, seed=1), MEMBER)


def found(values: list[str], *, by: str = "length") -> tuple[Stratum, ...]:
    return stratified(BASELINE, CANDIDATE, {by: values}, gates=GATES)


def names(values: list[str], endpoint: str = "sensitivity") -> list[str]:
    return [each.name for each in found(values) if each.endpoint == endpoint]


@pytest.mark.parametrize(("endpoint", "label"), [("sensitivity", 1), ("specificity", 0)])
def test_a_stratum_is_the_endpoint_on_its_rows(endpoint: str, label: int) -> None:
    values = ["short" if row % 3 else "long" for row in range(400)]
    own = next(e for e in found(values) if (e.name, e.endpoint) == ("long", endpoint))
    rows = np.flatnonzero((np.arange(400) % 3 == 0) & (label == LABELS))
    old, new = (
        (arm.probabilities[:, rows].astype(np.float64) >= 0.5) == label
        for arm in (BASELINE, CANDIDATE)
    )
    assert own.paired == noninferiority(
        old,
        new,
        [BASELINE.groups[row] for row in rows],
        margin=getattr(GATES, f"{endpoint}_margin"),
    )
    assert own.baseline == pytest.approx(old.mean())
    assert own.candidate == pytest.approx(new.mean())
    assert own.by == "length"


@settings(max_examples=30)
@given(st.lists(st.sampled_from(["", "a", "b10", "b9", OTHERS, "é²"]), min_size=400, max_size=400))
def test_strata_of_a_kind_hold_every_row_once(values: list[str]) -> None:
    for endpoint, label in (("sensitivity", 1), ("specificity", 0)):
        strata = [each for each in found(values) if each.endpoint == endpoint]
        assert len({each.name for each in strata}) == len(strata)
        assert sum(each.paired.rows for each in strata) == np.count_nonzero(label == LABELS)


def test_fewer_than_ten_rows_of_the_class_are_with_the_others() -> None:
    viral = np.flatnonzero(LABELS)
    values = ["most"] * 400
    for row in viral[:9]:
        values[row] = "nine"
    for row in viral[9:19]:
        values[row] = "ten"
    strata = {each.name: each for each in found(values) if each.endpoint == "sensitivity"}
    assert {name: each.paired.rows for name, each in strata.items()} == {
        "most": 181,
        "ten": 10,
        OTHERS: 9,
    }
    assert names(values, "specificity") == ["most"]


def test_the_twelve_largest_stand_by_themselves() -> None:
    viral = np.flatnonzero(LABELS)
    values = [""] * 400
    sizes = [10, 10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 15, 16, 17]  # 183 of 200
    for number, rows in enumerate(np.split(viral[:183], np.cumsum(sizes)[:-1])):
        for row in rows:
            values[row] = f"g{number}"
    strata = [each for each in found(values, by="group") if each.endpoint == "sensitivity"]
    assert [each.name for each in strata] == [*(f"g{number}" for number in range(2, 14)), OTHERS]
    assert strata[-1].paired.rows == 200 - 183 + 20


def test_numbers_in_names_rise_and_others_come_last() -> None:
    bins = ["121-300", "61-120", "1000-", ""]
    assert names([bins[row % 4] for row in range(400)]) == ["61-120", "121-300", "1000-", OTHERS]


def test_a_row_called_others_is_one_of_the_others() -> None:
    assert names([OTHERS if row % 2 else "" for row in range(400)]) == [OTHERS]


def test_a_stratum_within_one_group_has_rates_and_no_interval() -> None:
    strata = found([f"g{group}" for group in MEMBER], by="group")
    alone = [each for each in strata if each.name != OTHERS]
    assert len(alone) == 24
    for each in alone:
        assert (each.paired.rows, each.paired.clusters) == (10, 1)
        assert (each.paired.lower, each.paired.upper) == (None, None)
        assert each.candidate - each.baseline == pytest.approx(each.paired.difference)
    assert "NaN" not in to_json(strata)


def test_a_class_without_rows_has_no_strata() -> None:
    hosts = level([0] * 20, np.full((1, 20), 0.2))
    strata = stratified(hosts, hosts, {"frame": ["F1"] * 20}, gates=GATES)
    assert Counter(each.endpoint for each in strata) == {"specificity": 1}


def test_a_contig_keeps_what_all_its_frames_share() -> None:
    contigs = ["b", "a", "b", "a", "c"]
    kinds = {
        "group": ["g", "h", "g", "h", "g"],
        "mixed": ["x", "y", "x", "z", "y"],
        "frame": ["F1", "F1", "F2", "F2", "F3"],
        "length": ["1-9"] * 5,
    }
    assert of_contigs(contigs, kinds) == {"group": ("g", "h", "g"), "mixed": ("x", "", "y")}


def test_frames_that_differ_stay_apart_whatever_follows() -> None:
    assert of_contigs(["a"] * 4, {"mixed": ["x", "y", "x", ""]}) == {"mixed": ("",)}
