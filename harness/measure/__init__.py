"""What one embedder costs, and whether it is right."""

from harness.measure.memory import host_peak_rss_bytes, measure_memory
from harness.measure.parity import agreement, batch_invariance, other_runtime
from harness.measure.timing import (
    like_subsets,
    paired_speedup,
    summarise_pairs,
    summarise_rounds,
    time_once,
    time_rounds,
)

__all__ = [
    "agreement",
    "batch_invariance",
    "host_peak_rss_bytes",
    "like_subsets",
    "measure_memory",
    "other_runtime",
    "paired_speedup",
    "summarise_pairs",
    "summarise_rounds",
    "time_once",
    "time_rounds",
]
