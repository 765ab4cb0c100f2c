"""What one embedder costs, and whether it is right."""

from harness.measure.ceiling import bandwidth_ceiling, gemm_ceiling
from harness.measure.clock import clock_of, time_once
from harness.measure.contest import (
    TOLERANCE,
    control,
    holds_one,
    interleave,
    speedup_in,
    summarise_pairs,
)
from harness.measure.energy import measure_energy
from harness.measure.footprint import host_peak_rss_bytes
from harness.measure.honesty import REPEAT_ROUNDS, repeats, timed_outputs
from harness.measure.memory import measure_memory, measure_memory_split
from harness.measure.parity import (
    LEAST_ROWS,
    Audit,
    BatchDependent,
    Faulty,
    LayerCosine,
    NaivePooling,
    OffByTwoTruncation,
    ShuffledRows,
    Unsteady,
    WithNaN,
    agreement,
    audit_arm,
    batch_invariance,
    examine,
    other_runtime,
    reference_runtime,
    similarity,
)
from harness.measure.roofline import arithmetic_intensity, bytes_moved, roofline_point
from harness.measure.timing import like_subsets, rate, summarise_rounds, time_rounds
from harness.measure.work import padded_flops, useful_flops

__all__ = [
    "LEAST_ROWS",
    "REPEAT_ROUNDS",
    "TOLERANCE",
    "Audit",
    "BatchDependent",
    "Faulty",
    "LayerCosine",
    "NaivePooling",
    "OffByTwoTruncation",
    "ShuffledRows",
    "Unsteady",
    "WithNaN",
    "agreement",
    "arithmetic_intensity",
    "audit_arm",
    "bandwidth_ceiling",
    "batch_invariance",
    "bytes_moved",
    "clock_of",
    "control",
    "examine",
    "gemm_ceiling",
    "holds_one",
    "host_peak_rss_bytes",
    "interleave",
    "like_subsets",
    "measure_energy",
    "measure_memory",
    "measure_memory_split",
    "other_runtime",
    "padded_flops",
    "rate",
    "reference_runtime",
    "repeats",
    "roofline_point",
    "similarity",
    "speedup_in",
    "summarise_pairs",
    "summarise_rounds",
    "time_once",
    "time_rounds",
    "timed_outputs",
    "useful_flops",
]
