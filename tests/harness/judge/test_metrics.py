"""Every rate equals scikit-learn's, and where that warns, it is None."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import metrics as reference

from embedders.errors import InputError
from harness.evidence import Metrics
from harness.judge.metrics import RATES, score

# few distinct values, so that ties are common
chances = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.5000001, 0.75, 0.9, 1.0]) | st.floats(0, 1)
predictions = st.lists(st.tuples(st.integers(0, 1), chances), min_size=1, max_size=60)


def unzip(pairs: list[tuple[int, float]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([label for label, _ in pairs]), np.array([chance for _, chance in pairs])


@given(predictions)
def test_counts_and_rates_at_the_threshold_equal_scikit_learns(
    pairs: list[tuple[int, float]],
) -> None:
    truth, chance = unzip(pairs)
    called = chance >= 0.5
    found = score(truth, chance)
    expected = reference.confusion_matrix(truth, called, labels=[0, 1]).ravel()
    assert [found.tn, found.fp, found.fn, found.tp] == expected.tolist()
    assert found.accuracy == pytest.approx(reference.accuracy_score(truth, called))
    for rate, value in (
        (found.precision, reference.precision_score(truth, called, zero_division=np.nan)),
        (found.recall, reference.recall_score(truth, called, zero_division=np.nan)),
        (
            found.specificity,
            reference.recall_score(truth, called, pos_label=0, zero_division=np.nan),
        ),
        (found.f1, reference.f1_score(truth, called, zero_division=np.nan)),
    ):
        assert (rate is None and math.isnan(value)) or rate == pytest.approx(value)


@given(predictions)
def test_mcc_equals_scikit_learns_where_all_margins_are_filled(
    pairs: list[tuple[int, float]],
) -> None:
    truth, chance = unzip(pairs)
    called = chance >= 0.5
    defined = len(set(truth)) == 2 and len(set(called)) == 2
    found = score(truth, chance).mcc
    assert (found is not None) == defined
    if defined:
        assert found == pytest.approx(reference.matthews_corrcoef(truth, called), abs=1e-12)


@given(predictions)
def test_areas_and_brier_equal_scikit_learns(pairs: list[tuple[int, float]]) -> None:
    truth, chance = unzip(pairs)
    found = score(truth, chance)
    assert found.brier == pytest.approx(np.mean((chance - truth) ** 2))
    assert (found.pr_auc is None) == (not truth.any())
    assert (found.roc_auc is None) == (len(set(truth)) < 2)
    assume(len(set(truth)) == 2)
    assert found.brier == pytest.approx(reference.brier_score_loss(truth, chance))
    assert found.roc_auc == pytest.approx(reference.roc_auc_score(truth, chance))
    assert found.pr_auc == pytest.approx(reference.average_precision_score(truth, chance))


@given(predictions, st.floats(0, 1))
def test_a_record_is_strict_json_whatever_is_undefined(
    pairs: list[tuple[int, float]], threshold: float
) -> None:
    record = asdict(score(*unzip(pairs), threshold))
    assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_one_half_counts_as_viral() -> None:
    assert score([1], np.array([0.5], np.float32)).tp == 1


def test_a_large_confusion_matrix_does_not_overflow() -> None:
    truth = np.arange(400_000) % 2
    chance = np.where(np.arange(400_000) % 8 < 6, truth, 1 - truth).astype(float)
    # a quarter of each class is called wrongly: MCC is 1 less twice 0.25
    assert score(truth, chance).mcc == pytest.approx(0.5)


def test_every_rate_is_a_field_of_the_record() -> None:
    assert set(RATES) < set(Metrics.__slots__)


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([], [], "at least one row"),
        ([0, 1], [0.5], "one of each per row"),
        ([0, 2], [0.5, 0.5], "label must be 0"),
        ([0, 1], [0.5, 1.1], "between 0 and 1"),
        ([0, 1], [0.5, float("nan")], "not NaN"),
    ],
)
def test_what_cannot_be_scored_is_refused(
    labels: list[int], probabilities: list[float], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        score(labels, probabilities)
