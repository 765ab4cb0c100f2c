"""The arms' predictions are paired row by row, or refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from embedders.errors import InputError
from harness.evidence import Decision
from harness.judge import (
    Examples,
    Predictions,
    endpoint_p_values,
    noninferiority,
    paired_endpoints,
    summarise,
)
from harness.results import find
from harness.spec import Gates

GATES = Gates(sensitivity_margin=0.05, specificity_margin=0.02)
GROUPS, ROWS, FRAMES = 16, 192, 2
GROUP_OF = np.arange(ROWS) // (ROWS // GROUPS)


def predictions(noise: float, frames: int = FRAMES, seed: int = 0) -> Predictions:
    """Two seeds of probabilities around the truth, ``frames`` rows to a contig."""
    random = np.random.default_rng(seed)
    labels = GROUP_OF % 2
    examples = Examples(
        ids=tuple(f"r{row:03}" for row in range(ROWS)),
        contigs=tuple(f"c{row // frames:03}" for row in range(ROWS)),
        groups=tuple(f"g{group}" for group in GROUP_OF),
        labels=labels,
    )
    chances = np.clip(labels * 0.4 + 0.3 + noise * random.standard_normal((2, ROWS)), 0, 1)
    folds = np.stack([GROUP_OF % 4, GROUP_OF // 4])
    return Predictions(examples, (0, 1), folds, chances.astype(np.float32))


BASELINE, CANDIDATE = predictions(0.3), predictions(0.35, seed=1)


def reordered(of: Predictions, order: Sequence[int]) -> Predictions:
    kept = of.examples
    return Predictions(
        Examples(
            ids=tuple(kept.ids[row] for row in order),
            contigs=tuple(kept.contigs[row] for row in order),
            groups=tuple(kept.groups[row] for row in order),
            labels=kept.labels[list(order)],
        ),
        of.seeds,
        of.folds[:, list(order)],
        of.probabilities[:, list(order)],
    )


@pytest.mark.parametrize(("frames", "levels"), [(2, ["chunk", "contig"]), (1, ["chunk"])])
def test_differences_are_those_of_the_mean_rates_at_every_level(
    frames: int, levels: list[str]
) -> None:
    both = predictions(0.3, frames), predictions(0.35, frames, seed=1)
    endpoints = paired_endpoints(*both, dataset="d", gates=GATES)
    assert list(dict.fromkeys(each.level for each in endpoints)) == levels
    rates = [
        rate
        for arm, each in zip(("baseline", "candidate"), both, strict=True)
        for rate in summarise(each, arm=arm, dataset="d", file="p.csv", sha256="0" * 64)
    ]
    for each in endpoints:
        metric = "recall" if each.endpoint == "sensitivity" else "specificity"
        before, after = (
            find(rates, arm=arm, level=each.level) for arm in ("baseline", "candidate")
        )
        assert before is not None
        assert after is not None
        means = before.mean[metric], after.mean[metric]
        assert means[0] is not None
        assert means[1] is not None
        assert each.paired.difference == pytest.approx(means[1] - means[0])
        assert each.paired.clusters == GROUPS / 2
        assert each.paired.margin == getattr(GATES, f"{each.endpoint}_margin")


def test_a_row_is_right_where_its_class_is_called() -> None:
    viral = np.flatnonzero(BASELINE.examples.labels)
    sensitivity = paired_endpoints(BASELINE, CANDIDATE, dataset="d", gates=GATES)[0]
    expected = noninferiority(
        BASELINE.probabilities[:, viral] >= 0.5,
        CANDIDATE.probabilities[:, viral] >= 0.5,
        GROUP_OF[viral],
        margin=0.05,
    )
    assert sensitivity.paired == expected


def test_order_of_rows_in_an_arm_does_not_matter() -> None:
    order = np.random.default_rng(2).permutation(ROWS).tolist()
    straight = paired_endpoints(BASELINE, CANDIDATE, dataset="d", gates=GATES)
    assert paired_endpoints(BASELINE, reordered(CANDIDATE, order), dataset="d", gates=GATES) == (
        straight
    )


def test_identical_predictions_have_a_finite_interval_around_zero() -> None:
    for each in paired_endpoints(BASELINE, BASELINE, dataset="d", gates=GATES):
        assert each.paired.difference == 0
        assert each.paired.lower is not None
        assert each.paired.upper == -each.paired.lower
        assert 0 < each.paired.upper < 1
        assert each.paired.decision is not Decision.FAIL


ROWS_OF = CANDIDATE.examples


def spoilt(examples: Examples) -> Predictions:
    return replace(CANDIDATE, examples=examples)


@pytest.mark.parametrize(
    ("candidate", "words"),
    [
        (reordered(CANDIDATE, range(ROWS - 7)), r"7 row\(s\) of the baseline .* r185, .* …"),
        (spoilt(replace(ROWS_OF, ids=("new", *ROWS_OF.ids[1:]))), "row.*baseline.*candidate: r000"),
        (spoilt(replace(ROWS_OF, labels=1 - ROWS_OF.labels)), "the labels of"),
        (spoilt(replace(ROWS_OF, groups=("other",) * ROWS)), "the groups of"),
        (spoilt(replace(ROWS_OF, contigs=ROWS_OF.ids)), "the contigs of"),
        (replace(CANDIDATE, seeds=(0, 2)), "the seeds of"),
        (replace(CANDIDATE, folds=CANDIDATE.folds[::-1]), "the folds of"),
    ],
)
def test_arms_that_did_not_judge_the_same_are_refused(candidate: Predictions, words: str) -> None:
    with pytest.raises(InputError, match=rf"^data: .*{words}"):
        paired_endpoints(BASELINE, candidate, dataset="data", gates=GATES)


@pytest.mark.parametrize("endpoint", ["sensitivity", "specificity"])
def test_an_endpoint_passes_above_its_p_value_and_not_below(endpoint: str) -> None:
    wide = Gates(sensitivity_margin=0.2, specificity_margin=0.2)
    found = endpoint_p_values(BASELINE, CANDIDATE, dataset="d", gates=wide)
    for level in ("chunk", "contig"):
        p = found[level, endpoint]
        for times, passes in ((1.01, True), (0.99, False)):
            gates = replace(wide, alpha=times * p)
            endpoints = paired_endpoints(BASELINE, CANDIDATE, dataset="d", gates=gates)
            record = find(endpoints, level=level, endpoint=endpoint)
            assert record is not None
            assert record.paired.alpha == gates.alpha
            assert (record.paired.decision is Decision.PASS) == passes


def test_no_p_value_is_below_the_chance_that_all_groups_lean_one_way() -> None:
    """8 groups of each class: 2⁻⁸, however alike the arms are."""
    gates = Gates(sensitivity_margin=0.9, specificity_margin=0.9)
    found = endpoint_p_values(BASELINE, BASELINE, dataset="d", gates=gates)
    assert set(found.values()) == {2.0**-8}


def test_rows_that_only_the_candidate_has_are_listed() -> None:
    fewer = reordered(BASELINE, range(1, ROWS))
    with pytest.raises(InputError, match=r"1 row\(s\) of the candidate .* baseline: r000"):
        paired_endpoints(fewer, CANDIDATE, dataset="d", gates=GATES)
