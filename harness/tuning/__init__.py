"""Fine-tuning of an encoder by low-rank adaptation, and what it is worth to the classifier."""

from harness.tuning.comparison import compare
from harness.tuning.errors import OtherTraining, TuningError
from harness.tuning.folder import WEIGHTS_FOLDER, finetune, write_weights
from harness.tuning.plan import TuningPlan
from harness.tuning.proteins import Proteins, read_proteins
from harness.tuning.recipe import TARGETS, TuningRecipe
from harness.tuning.records import Row, TuningComparison
from harness.tuning.training import tune
from harness.tuning.tuned import Start, Tuned

__all__ = [
    "TARGETS",
    "WEIGHTS_FOLDER",
    "OtherTraining",
    "Proteins",
    "Row",
    "Start",
    "Tuned",
    "TuningComparison",
    "TuningError",
    "TuningPlan",
    "TuningRecipe",
    "compare",
    "finetune",
    "read_proteins",
    "tune",
    "write_weights",
]
