"""From features to predictions, and from predictions to a verdict."""

from harness.judge.details import details
from harness.judge.evaluation import Trainer, cross_validate, out_of_fold, summarise
from harness.judge.gate import all_gates, decide, endpoint_gates, gates_of
from harness.judge.homology import Homologues, ToolMissing, find_homologues
from harness.judge.leaks import Twins, leak_checks
from harness.judge.metrics import score
from harness.judge.modalities import modalities, of_first_seeds
from harness.judge.multiplicity import (
    Multiplicity,
    adjusted_p_values,
    gate_p_values,
    shares_of_alpha,
)
from harness.judge.noninferiority import noninferiority
from harness.judge.pairing import endpoint_p_values, paired_endpoints
from harness.judge.predictions import (
    CLASSES,
    Examples,
    Predictions,
    read_predictions,
    write_predictions,
)
from harness.judge.regression import regression_gates
from harness.judge.rows import Rows, joined, read_rows, strata, write_rows
from harness.judge.splits import Fold, SplitError, TooFewGenomes, grouped_folds, row_folds
from harness.judge.stored import stored_predictions

__all__ = [
    "CLASSES",
    "Examples",
    "Fold",
    "Homologues",
    "Multiplicity",
    "Predictions",
    "Rows",
    "SplitError",
    "TooFewGenomes",
    "ToolMissing",
    "Trainer",
    "Twins",
    "adjusted_p_values",
    "all_gates",
    "cross_validate",
    "decide",
    "details",
    "endpoint_gates",
    "endpoint_p_values",
    "find_homologues",
    "gate_p_values",
    "gates_of",
    "grouped_folds",
    "joined",
    "leak_checks",
    "modalities",
    "noninferiority",
    "of_first_seeds",
    "out_of_fold",
    "paired_endpoints",
    "read_predictions",
    "read_rows",
    "regression_gates",
    "row_folds",
    "score",
    "shares_of_alpha",
    "stored_predictions",
    "strata",
    "summarise",
    "write_predictions",
    "write_rows",
]
