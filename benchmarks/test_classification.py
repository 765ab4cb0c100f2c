"""What each arm is good for, after its classifier was retrained on identical folds and seeds."""

from __future__ import annotations

import pytest

from harness.migration import Migration
from harness.spec import ArmName


def test_printed_rates_follow_from_the_stored_predictions(
    migration: Migration, dataset: str, arm: ArmName
) -> None:
    if not migration.arms.has_learnt_weights(arm):
        pytest.skip("random weights classify nothing: not measured")
    results = migration.retraining.classify(dataset, arm)
    if dataset in migration.found.unclassified:
        pytest.skip(f"too few genomes: {migration.found.unclassified[dataset]}")
    assert results
    assert migration.retraining.recompute(dataset, arm) == results


def test_halves_of_the_features_are_judged_where_there_are_two(
    migration: Migration, dataset: str
) -> None:
    found = migration.retraining.modalities(dataset)
    assert {each.modality for each in found} in (set(), {"DNA only", "protein only", "merged"})
