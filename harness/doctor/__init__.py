"""What works on this machine, what does not, and what to do about it."""

from harness.doctor.examination import DEFAULT_OUTPUT, DEFAULT_SEQUENCES, examine
from harness.doctor.finding import SCHEMA, Examination, Finding, Status
from harness.doctor.screen import screen

__all__ = [
    "DEFAULT_OUTPUT",
    "DEFAULT_SEQUENCES",
    "SCHEMA",
    "Examination",
    "Finding",
    "Status",
    "examine",
    "screen",
]
