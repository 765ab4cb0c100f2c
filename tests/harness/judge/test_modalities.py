"""Each half of the features is compared like the whole, and what both arms share is not paired."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import recall_score

from harness.judge import Examples, Predictions, modalities, of_first_seeds, paired_endpoints
from harness.results import find
from harness.spec import Gates

GATES = Gates(sensitivity_margin=0.05, specificity_margin=0.05)
SEEDS, ROWS = 3, 40


def predictions(seed: int) -> Predictions:
    random = np.random.default_rng(seed)
    labels = np.arange(ROWS) % 2
    ids = tuple(f"r{row}" for row in range(ROWS))
    groups = tuple(f"g{row // 4}-{row % 2}" for row in range(ROWS))
    chances = random.random((SEEDS, ROWS)).astype(np.float32)
    folds = np.tile(np.arange(ROWS) % 4, (SEEDS, 1))
    return Predictions(Examples(ids, ids, groups, labels), tuple(range(SEEDS)), folds, chances)


def test_rates_are_means_over_seeds_and_pairs_those_of_the_endpoints() -> None:
    before, after = predictions(1), predictions(2)
    found = modalities({"protein only": (before, after)}, dataset="d", gates=GATES)
    assert [each.endpoint for each in found] == ["sensitivity", "specificity"]
    for record, label in zip(found, (1, 0), strict=True):
        expected = [
            recall_score(before.examples.labels, chances >= 0.5, pos_label=label)
            for chances in before.probabilities
        ]
        assert record.baseline == pytest.approx(np.mean(expected))
        pairs = paired_endpoints(before, after, dataset="d", gates=GATES)
        endpoint = find(pairs, endpoint=record.endpoint)
        assert endpoint is not None
        assert record.paired == endpoint.paired
        assert record.seeds == SEEDS


def test_what_both_arms_share_is_not_paired() -> None:
    shared = predictions(1)
    for record in modalities({"DNA only": (shared, shared)}, dataset="d", gates=GATES):
        assert record.paired is None
        assert record.baseline == record.candidate


def test_the_first_seeds_are_taken_whole() -> None:
    whole = predictions(1)
    part = of_first_seeds(whole, 2)
    assert part.seeds == whole.seeds[:2]
    assert (part.probabilities == whole.probabilities[:2]).all()
    assert (part.folds == whole.folds[:2]).all()
