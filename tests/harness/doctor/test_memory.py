"""Bytes of weights and activations against what is free."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from embedders import CHECKPOINTS, checkpoint, load
from embedders.checkpoints import Family
from harness.doctor import Finding, Status, memory
from harness.doctor.control_group import Limits
from harness.doctor.graphics import Gpu, Graphics
from harness.doctor.needs import Need

GIB = 1 << 30
CPU = torch.device("cpu")
NO_GPU = Graphics(None)
ESM2 = [name for name, row in CHECKPOINTS.items() if row.family is Family.ESM2]


def need(part: str = "baseline", name: str = "esm2-3b") -> Need:
    row = checkpoint(name)
    return Need(part, row, row.default_runtime, "hub", CPU)


def of(found: list[Finding], subject: str) -> Finding:
    return next(finding for finding in found if finding.subject == subject)


@pytest.mark.parametrize("name", ESM2)
def test_parameters_counted_by_shape_are_those_of_the_table(name: str) -> None:
    row = checkpoint(name)
    assert memory.parameters_of(row, row.layers) == row.parameters
    assert memory.parameters_of(row, 1) < row.parameters


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call] # torch's, without types
    """Counts the bytes of every tensor that an operation made and that is still alive."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.alive: dict[int, int] = {}
        self.peak = 0

    def __torch_dispatch__(
        self,
        operation: Callable[..., object],
        types: object,
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        del types
        made = operation(*args, **(kwargs or {}))
        for tensor in tree_flatten(made)[0]:
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                key = storage._cdata
                if key not in self.alive:
                    self.alive[key] = storage.nbytes()
                    weakref.finalize(storage, self.alive.pop, key, None)
                    self.peak = max(self.peak, sum(self.alive.values()))
        return made


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(("runtime", "fused"), [("huggingface", True), ("fair-esm", False)])
def test_activations_are_what_a_forward_pass_holds_alive(
    runtime: str, fused: bool, dtype: str
) -> None:
    row = checkpoint("esm2-8m")
    embedder = load(
        row.name, runtime=runtime, weights="random", layers=1, device="cpu", dtype=dtype
    )
    sequences = ["MKTAYIAKQRAC" * 85, "MKTAYIAKQR" * 102]
    tokens = len(sequences) * (1020 + 2)
    with LiveBytes() as live:
        embedder.embed(sequences, tokens_per_batch=tokens)
    expected = memory.activation_bytes(row, tokens, dtype, fused=fused)
    assert live.peak == pytest.approx(expected, rel=0.1)


@given(
    available=st.integers(0, 1 << 45),
    left=st.none() | st.integers(0, 1 << 45),
)
def test_free_is_never_more_than_the_machine_or_the_control_group_has(
    available: int, left: int | None
) -> None:
    free = memory.host_free_bytes(available, Limits(memory_free_bytes=left))
    assert free == min(available, available if left is None else left)


def test_host_finding_parts_checkpoints_by_the_dtype_that_fits() -> None:
    # 2,832,442,880 parameters of ESM2-3B are 10.55 GiB in float32 and 5.28 in half of it
    finding = memory.examine_host(6 * GIB, 8 * GIB, Limits(memory_bytes=7 * GIB))
    fits = finding.details["checkpoints"]
    assert isinstance(fits, dict)
    assert (fits["esm2-3b"]["fits_float32"], fits["esm2-3b"]["fits_half"]) == (False, True)
    assert (fits["esm2-15b"]["fits_half"], fits["esm2-650m"]["fits_float32"]) == (False, True)
    assert "bfloat16 only: esm2-3b (5.3 GiB)" in finding.found
    assert "too large: esm2-15b" in finding.found
    assert "6.0 GiB free of the control group's 7.0 GiB" in finding.found


def test_device_memory_is_told_for_every_device() -> None:
    gpus = tuple(Gpu(index, "T4", (7, 5), 14 * GIB, 15 * GIB) for index in (0, 1))
    found = memory.examine_devices(Graphics("12.6", gpus))
    assert [finding.subject for finding in found] == ["memory of cuda:0", "memory of cuda:1"]
    assert "14.0 GiB free" in found[0].found


@pytest.mark.parametrize(
    ("free", "status"), [(10 * GIB, "missing"), (12 * GIB, "note"), (13 * GIB, "ok")]
)
def test_weights_must_fit_and_a_batch_beside_them_should(free: int, status: str) -> None:
    # 10.55 GiB of weights; fair-esm's scores of 40 heads for 4,096 by 1,026 tokens come to
    # 2 · 0.63 GiB, and eight tensors of 4,096 by 2,560 to 0.31: 12.12 GiB
    found = memory.examine_needs([need()], free, NO_GPU)
    assert of(found, "baseline memory").status == status


def test_what_does_not_fit_in_float32_is_told_of_bfloat16() -> None:
    found = memory.examine_needs([need()], 8 * GIB, NO_GPU)
    assert "bfloat16" in of(found, "baseline memory").remedy
    halved = memory.examine_needs([replace(need(), dtype="bfloat16")], 8 * GIB, NO_GPU)
    assert of(halved, "baseline memory").status is Status.OK


def test_fewer_layers_take_less() -> None:
    found = memory.examine_needs([replace(need(), weights="random", layers=2)], 4 * GIB, NO_GPU)
    assert of(found, "baseline memory").status is Status.OK


def test_an_arm_is_held_against_its_own_device() -> None:
    small = Graphics("12.6", (Gpu(0, "T4", (7, 5), 4 * GIB, 15 * GIB),))
    on_gpu = replace(need(), device=torch.device("cuda"))
    finding = of(memory.examine_needs([on_gpu], 900 * GIB, small), "baseline memory")
    assert finding.status is Status.MISSING
    assert "cuda:0" in finding.found


def test_an_arm_whose_device_is_not_there_is_left_to_the_finding_on_cuda() -> None:
    elsewhere = replace(need(), device=torch.device("cuda:1"))
    assert memory.examine_needs([elsewhere], 900 * GIB, NO_GPU) == []


@pytest.mark.parametrize(("free", "status"), [(22 * GIB, "note"), (23 * GIB, "ok")])
def test_a_run_holds_both_arms_and_one_again(free: int, status: str) -> None:
    # 10.55 GiB, 649,400,320 parameters in bfloat16 are 1.21 GiB, and 10.55 GiB again: 22.31 GiB
    arms = [need(), replace(need("candidate", "fastesm2-650"), dtype="bfloat16")]
    finding = of(memory.examine_needs(arms, free, NO_GPU), "memory of a run")
    assert finding.status == status
    assert not finding.needed
