"""What each arm needs at its peak, in a process of its own."""

from __future__ import annotations

import pytest
import torch

from harness.migration import Migration
from harness.spec import ArmName


def test_host_memory(migration: Migration, arm: ArmName) -> None:
    memory = migration.efficiency.memory(arm)
    assert memory.host_peak_rss_bytes > memory.host_start_rss_bytes > 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA: device memory not measured")
def test_device_memory_by_allocator_and_nvml(migration: Migration, arm: ArmName) -> None:
    memory = migration.efficiency.memory(arm)
    parameters = migration.arms.embedder(arm).spec.parameters
    assert memory.device_peak_allocated_bytes is not None
    assert memory.device_peak_allocated_bytes > parameters
    assert memory.nvml_used_bytes is None or memory.nvml_used_bytes > 0
