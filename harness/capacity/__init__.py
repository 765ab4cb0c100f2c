"""What a run of any size will take: time, energy, money and disk, from what was measured."""

from harness.capacity.basis import Basis, Origin, Stated, settle
from harness.capacity.demand import Lengths, lengths_of, read_count, read_lengths
from harness.capacity.estimates import CONFIDENCE, Estimate
from harness.capacity.evidence import Choice, Evidence, Records
from harness.capacity.fitting import Fit, Observation, fit
from harness.capacity.pricing import Fleet, Price
from harness.capacity.projection import SCHEMA, ArmPlan, Demand, Plan, compare, project
from harness.capacity.records import (
    CALIBRATION_FILE,
    CALIBRATION_SCHEMA,
    CalibratedArm,
    Calibration,
    read_records,
)
from harness.capacity.sheet import page, screen
from harness.capacity.storage import Storage, shard_bytes, storage_of
from harness.capacity.work import Way, Work, executed_work, split, useful_work, whole_run

__all__ = [
    "CALIBRATION_FILE",
    "CALIBRATION_SCHEMA",
    "CONFIDENCE",
    "SCHEMA",
    "ArmPlan",
    "Basis",
    "CalibratedArm",
    "Calibration",
    "Choice",
    "Demand",
    "Estimate",
    "Evidence",
    "Fit",
    "Fleet",
    "Lengths",
    "Observation",
    "Origin",
    "Plan",
    "Price",
    "Records",
    "Stated",
    "Storage",
    "Way",
    "Work",
    "compare",
    "executed_work",
    "fit",
    "lengths_of",
    "page",
    "project",
    "read_count",
    "read_lengths",
    "read_records",
    "screen",
    "settle",
    "shard_bytes",
    "split",
    "storage_of",
    "useful_work",
    "whole_run",
]
