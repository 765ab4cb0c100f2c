"""Is what an embedder computes right, and how alike are two embedders of different width?"""

from harness.measure.parity.agreement import (
    COSINE_LIMIT,
    FLOAT32_LIMIT,
    WORST,
    agreement,
    other_runtime,
    reference_runtime,
)
from harness.measure.parity.audit import Audit, audit_arm, examine
from harness.measure.parity.faults import (
    BatchDependent,
    Faulty,
    NaivePooling,
    OffByTwoTruncation,
    ShuffledRows,
    Unsteady,
    WithNaN,
)
from harness.measure.parity.invariance import Passes, batch_invariance
from harness.measure.parity.layers import LayerCosine, layer_drift
from harness.measure.parity.similarity import LEAST_ROWS, similarity

__all__ = [
    "COSINE_LIMIT",
    "FLOAT32_LIMIT",
    "LEAST_ROWS",
    "WORST",
    "Audit",
    "BatchDependent",
    "Faulty",
    "LayerCosine",
    "NaivePooling",
    "OffByTwoTruncation",
    "Passes",
    "ShuffledRows",
    "Unsteady",
    "WithNaN",
    "agreement",
    "audit_arm",
    "batch_invariance",
    "examine",
    "layer_drift",
    "other_runtime",
    "reference_runtime",
    "similarity",
]
