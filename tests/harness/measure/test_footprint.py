"""From readings to parts of the peak: each byte has one place, and what is unknown has none."""

from __future__ import annotations

import os

import pytest
import torch

from harness.measure.footprint import Allocator, Resident, Stage, Used, read_used, summarise
from tests.harness.measure.faked_nvml import FakedNvml

# bytes by hand: 100 of weights; 340 allocated and 400 reserved at the peak of embedding
START = Stage(Resident(50, 60, forgotten=True), used=Used(None, 1000))
LOADED = Stage(Resident(70, 75, forgotten=True), Allocator(100, 150, 200, 200))
DONE = Stage(Resident(90, 120, True), Allocator(110, 340, 400, 400), Used(None, 1900))


def test_on_cuda_each_part_has_its_own_source() -> None:
    memory, split = summarise("a", "cuda:0", START, LOADED, DONE)
    assert (split.weights_bytes, split.activations_bytes) == (100, 240)
    assert (split.allocator_bytes, split.context_bytes) == (60, 500)
    assert split.peak_bytes == 900
    assert (memory.nvml_used_bytes, memory.nvml_method) == (900, "device difference")


def test_where_nvml_sees_the_process_its_own_figure_counts() -> None:
    done = Stage(DONE.resident, DONE.allocator, Used(730, 1900))
    memory, split = summarise("a", "cuda:0", START, LOADED, done)
    assert (memory.nvml_used_bytes, memory.nvml_method) == (730, "process")
    assert split.context_bytes == 330


def test_without_nvml_context_and_sum_are_unknown_and_the_rest_is_not() -> None:
    done = Stage(DONE.resident, DONE.allocator)
    memory, split = summarise("a", "cuda:0", START, LOADED, done)
    assert (split.weights_bytes, split.activations_bytes, split.allocator_bytes) == (100, 240, 60)
    assert split.context_bytes is split.peak_bytes is None
    assert (memory.nvml_used_bytes, memory.nvml_method) == (None, None)


def test_a_device_that_was_not_read_before_gives_no_difference() -> None:
    memory, _ = summarise("a", "cuda:0", Stage(START.resident), LOADED, DONE)
    assert (memory.nvml_used_bytes, memory.nvml_method) == (None, None)


def test_memory_that_another_process_gave_back_leaves_the_context_unknown() -> None:
    done = Stage(DONE.resident, DONE.allocator, Used(None, 1100))
    _, split = summarise("a", "cuda:0", START, LOADED, done)
    assert split.context_bytes is split.peak_bytes is None


def test_peaks_of_the_whole_are_those_of_loading_if_they_are_higher() -> None:
    loaded = Stage(Resident(70, 900, forgotten=True), Allocator(100, 800, 950, 950))
    memory, split = summarise("a", "cuda:0", START, loaded, DONE)
    assert memory.host_peak_rss_bytes == 900
    assert memory.device_peak_allocated_bytes == 800
    assert memory.device_peak_reserved_bytes == 950
    assert split.activations_bytes == 240


def test_on_a_cpu_the_parts_are_resident_memory() -> None:
    stages = (Stage(START.resident), Stage(LOADED.resident), Stage(DONE.resident))
    memory, split = summarise("a", "cpu", *stages)
    assert (split.context_bytes, split.weights_bytes, split.activations_bytes) == (50, 20, 50)
    assert split.allocator_bytes is None
    assert split.peak_bytes == memory.host_peak_rss_bytes == 120
    assert memory.host_start_rss_bytes == 60
    assert memory.device_peak_allocated_bytes is None


@pytest.mark.parametrize(("peak", "activations"), [(75, None), (76, 6)])
def test_an_old_peak_that_cannot_be_forgotten_hides_a_lower_one(
    peak: int, activations: int | None
) -> None:
    loaded = Stage(Resident(70, 75, forgotten=False))
    done = Stage(Resident(72, peak, forgotten=False))
    _, split = summarise("a", "cpu", Stage(START.resident), loaded, done)
    assert split.activations_bytes == activations


def test_nvml_tells_this_process_from_others(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = os.getpid()
    FakedNvml(processes=[(mine + 1, 5), (mine, 7)], used_bytes=30).install(monkeypatch)
    assert read_used(torch.device("cuda", 0)) == Used(process=7, device=30)


@pytest.mark.parametrize("processes", [[], [(os.getpid(), None)], [(os.getpid() + 1, 5)]])
def test_a_process_that_nvml_cannot_see_has_no_figure_of_its_own(
    monkeypatch: pytest.MonkeyPatch, processes: list[tuple[int, int | None]]
) -> None:
    FakedNvml(processes=processes, used_bytes=30).install(monkeypatch)
    assert read_used(torch.device("cuda", 0)) == Used(process=None, device=30)
