"""Everything beside the endpoints: finite or absent, the same for rows in any order."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from cattrs import Converter
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from embedders import InputError
from harness.evidence import Detail
from harness.judge import Examples, Predictions, details, paired_endpoints, summarise
from harness.results import to_json
from harness.spec import Gates
from tests.harness.judge.invented import noisy

GATES = Gates(sensitivity_margin=0.05, specificity_margin=0.05)


def predictions(
    rows: int = 80, *, seeds: int = 3, seed: int = 0, framed: bool = False, one_class: bool = False
) -> Predictions:
    labels = np.zeros(rows, dtype=np.int64) if one_class else np.arange(rows) // 4 % 2
    ids = tuple(f"c{row // 2}-{row}" if framed else f"r{row}" for row in range(rows))
    contigs = tuple(f"c{row // 2}" for row in range(rows)) if framed else ids
    groups = tuple(f"g{row // 4}" for row in range(rows))
    chances = noisy(labels, seeds=seeds, seed=seed)
    folds = np.tile(np.arange(rows) // 4 % 5, (seeds, 1))
    return Predictions(Examples(ids, contigs, groups, labels), tuple(range(seeds)), folds, chances)


def judged(before: Predictions, after: Predictions, **strata: list[str]) -> tuple[Detail, ...]:
    return details(before, after, strata, dataset="d", gates=GATES, resamples=50)


def test_levels_are_those_of_the_rates() -> None:
    pair = predictions(seed=1), predictions(seed=2)
    assert [each.level for each in judged(*pair)] == ["chunk"]
    framed = predictions(seed=1, framed=True), predictions(seed=2, framed=True)
    assert [each.level for each in judged(*framed)] == ["chunk", "contig"]


def test_the_difference_of_areas_is_that_of_scikit_learn() -> None:
    before, after = predictions(seed=1), predictions(seed=2)
    labels = before.examples.labels
    (found,) = judged(before, after)
    area = next(each for each in found.secondary if each.metric == "roc_auc")
    expected = [
        np.mean([roc_auc_score(labels, each) for each in arm.probabilities])
        for arm in (before, after)
    ]
    assert area.baseline.value == pytest.approx(expected[0])
    assert area.difference.value == pytest.approx(expected[1] - expected[0])


def test_the_candidates_rows_may_come_in_any_order() -> None:
    before, after = predictions(seed=1), predictions(seed=2)
    order = np.random.default_rng(0).permutation(len(after.examples))
    examples = after.examples
    shuffled = Predictions(
        Examples(
            tuple(examples.ids[row] for row in order),
            tuple(examples.contigs[row] for row in order),
            tuple(examples.groups[row] for row in order),
            examples.labels[order],
        ),
        after.seeds,
        after.folds[:, order],
        after.probabilities[:, order],
    )
    strata = {"half": ["a" if row < 40 else "b" for row in range(80)]}
    assert judged(before, shuffled, **strata) == judged(before, after, **strata)


def test_frames_and_lengths_say_nothing_of_contigs() -> None:
    pair = predictions(seed=1, framed=True), predictions(seed=2, framed=True)
    every = ["x"] * 80
    chunk, contig = judged(*pair, frame=every, length=every, group=every)
    assert {each.by for each in chunk.strata} == {"frame", "length", "group"}
    assert {each.by for each in contig.strata} == {"group"}


@settings(deadline=None, max_examples=25)
@given(
    rows=st.sampled_from([4, 20, 80]),
    seeds=st.integers(1, 3),
    one_class=st.booleans(),
    flat=st.booleans(),
    same=st.booleans(),
)
def test_whatever_comes_in_the_record_is_strict_json(
    rows: int, seeds: int, one_class: bool, flat: bool, same: bool
) -> None:
    before = predictions(rows, seeds=seeds, seed=1, one_class=one_class)
    after = before if same else predictions(rows, seeds=seeds, seed=2, one_class=one_class)
    if flat:
        after = replace(after, probabilities=np.full_like(after.probabilities, 0.5))
    for each in judged(before, after, group=list(before.examples.groups)):
        assert json.loads(to_json(asdict(each)))["level"] == "chunk"


def test_strata_of_another_length_are_refused_by_name() -> None:
    pair = predictions(seed=1), predictions(seed=2)
    with pytest.raises(InputError, match="d: 3 values of 'half' for 80 rows"):
        judged(*pair, half=["a", "b", "c"])


def test_secondary_values_are_the_means_of_the_stored_rates() -> None:
    pair = predictions(seed=1, framed=True), predictions(seed=2, framed=True)
    for arm, own in zip(("baseline", "candidate"), pair, strict=True):
        rates = summarise(own, arm=arm, dataset="d", file="p.csv", sha256="0" * 64)
        for detail, rate in zip(judged(*pair), rates, strict=True):
            assert detail.level == rate.level
            for each in detail.secondary:
                assert getattr(each, arm).value == pytest.approx(rate.mean[each.metric])


def test_agreement_and_strata_add_up_to_the_difference_of_the_endpoints() -> None:
    pair = predictions(seed=1, framed=True), predictions(seed=2, framed=True)
    endpoints = paired_endpoints(*pair, dataset="d", gates=GATES)
    for detail in judged(*pair, group=list(pair[0].examples.groups)):
        for endpoint in (each for each in endpoints if each.level == detail.level):
            difference = endpoint.paired.difference
            share = next(e for e in detail.agreement if e.endpoint == endpoint.endpoint)
            assert share.only_candidate - share.only_baseline == pytest.approx(difference)
            parts = [
                (each.candidate - each.baseline) * each.paired.rows / endpoint.paired.rows
                for each in detail.strata
                if each.endpoint == endpoint.endpoint
            ]
            assert sum(parts) == pytest.approx(difference)


def test_a_contig_is_listed_by_its_own_name_with_its_own_probabilities() -> None:
    # met in another order than that of their names
    examples = Examples(
        ids=tuple("123456"),
        contigs=("b", "b", "z", "z", "a", "a"),
        groups=("h", "h", "v", "v", "h", "h"),
        labels=np.array([0, 0, 1, 1, 0, 0]),
    )
    before, after = (
        Predictions(
            examples, (0,), np.zeros((1, 6), dtype=np.int64), np.array([chances], dtype=np.float32)
        )
        for chances in ([0.1, 0.2, 0.875, 0.6, 0.1, 0.2], [0.1, 0.2, 0.125, 0.6, 0.1, 0.2])
    )
    chunk, contig = judged(before, after)
    assert [each.name for each in chunk.disagreements] == ["3"]
    (row,) = contig.disagreements
    assert (row.name, row.group, row.label) == ("z", "v", "viral")
    assert (row.baseline, row.candidate) == (0.875, 0.125)


def test_the_seed_alone_decides_on_the_draws() -> None:
    pair = predictions(seed=1), predictions(seed=2)
    first, again, other = (
        details(*pair, {}, dataset="d", gates=GATES, seed=seed, resamples=50) for seed in (0, 0, 1)
    )
    assert first == again
    assert first[0].secondary != other[0].secondary


def test_the_record_counts_the_resamples_behind_its_intervals() -> None:
    pair = predictions(12, seed=1), predictions(12, seed=2)
    # one of 3 groups is viral, so that nothing can be said of others like it
    (none,) = judged(*pair)
    assert none.resamples == 0
    assert all(each.difference.lower is None for each in none.secondary)
    (all_of_them,) = judged(predictions(seed=1), predictions(seed=2))
    assert all_of_them.resamples == 50
    assert all(each.difference.lower is not None for each in all_of_them.secondary)


def test_a_record_comes_back_from_its_json() -> None:
    pair = predictions(seed=1, framed=True), predictions(seed=2, framed=True)
    converter = Converter(forbid_extra_keys=True)
    for each in judged(*pair, group=list(pair[0].examples.groups)):
        document = json.loads(to_json(each), parse_constant=pytest.fail)
        assert converter.structure(document, Detail) == each


@pytest.mark.parametrize("label", [0, 1])
def test_a_single_row_has_details(label: int) -> None:
    one = Predictions(
        Examples(("r",), ("r",), ("g",), np.array([label])),
        (0,),
        np.zeros((1, 1), dtype=np.int64),
        np.array([[0.5]], dtype=np.float32),
    )
    (detail,) = judged(one, one, length=["1-9"])
    assert "NaN" not in to_json(detail)
    assert detail.curves == ()


def test_arms_that_did_not_judge_the_same_are_refused() -> None:
    before, after = predictions(seed=1), predictions(seed=2)
    with pytest.raises(InputError, match=r"^d: the seeds of"):
        judged(before, replace(after, seeds=(0, 1, 7)))


def test_figures_are_the_same_to_the_digit_whatever_kernels_the_processor_takes() -> None:
    program = """
from harness.results import to_json
from tests.harness.judge.test_details import judged, predictions
before, after = predictions(400, seed=1, framed=True), predictions(400, seed=2, framed=True)
print(to_json(judged(before, after, group=list(before.examples.groups))))
"""
    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            # OpenBLAS, which NumPy brings on Linux, sums in another order in each of these
            env={**os.environ, "OPENBLAS_CORETYPE": kernel},
            cwd=Path(__file__).parents[3],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for kernel in ("Haswell", "Nehalem")
    }
    assert len(printed) == 1
