"""From features to predictions, and from predictions to a verdict."""

from harness.judge.evaluation import cross_validate, summarise
from harness.judge.gate import all_gates, decide
from harness.judge.metrics import score
from harness.judge.noninferiority import noninferiority
from harness.judge.pairing import paired_endpoints
from harness.judge.predictions import (
    Examples,
    Predictions,
    read_predictions,
    write_predictions,
)
from harness.judge.regression import regression_gates
from harness.judge.splits import Fold, SplitError, TooFewGenomes, grouped_folds

__all__ = [
    "Examples",
    "Fold",
    "Predictions",
    "SplitError",
    "TooFewGenomes",
    "all_gates",
    "cross_validate",
    "decide",
    "grouped_folds",
    "noninferiority",
    "paired_endpoints",
    "read_predictions",
    "regression_gates",
    "score",
    "summarise",
    "write_predictions",
]
