"""What one migration needs of the machine: its embedders with every choice made."""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch

from embedders import Checkpoint, checkpoint
from embedders.checkpoints import Family
from embedders.placement import choose_device
from harness.doctor.finding import Finding, lacking
from harness.spec import Arm, ArmName, Dna, MigrationSpec

HUB = "hub"
MINI = "mini"
RANDOM = "random"

_CUDA = re.compile(r"cuda(:\d+)?")


@dataclass(frozen=True, slots=True)
class Need:
    """One embedder that a run loads, with every choice that the migration file leaves out made.

    ``part`` is the table of the migration file that asks for it.
    """

    part: str
    checkpoint: Checkpoint
    runtime: str
    weights: str
    device: torch.device
    dtype: str = "float32"
    tokens_per_batch: int = 4096
    attention: str | None = None
    revision: str | None = None
    remote_code: bool = False
    layers: int | None = None

    @property
    def random(self) -> bool:
        """Tell whether the weights are drawn, so that nothing is to be fetched."""
        return self.weights.partition(":")[0] == RANDOM

    @property
    def from_hub(self) -> bool:
        """Tell whether the weights are the hub's."""
        return self.weights == HUB

    @property
    def wanted_revision(self) -> str | None:
        """The hub's commit: the file's, or else the table's."""
        return self.checkpoint.revision if self.revision is None else self.revision


def needs_of(spec: MigrationSpec) -> tuple[Need, ...]:
    """Return what a migration loads: both arms, and a DNA embedder that has weights.

    Raises
    ------
    InputError
        If an embedder is in no table, or the device is no device's name.
    """
    device = intended_device(spec.embedding.device)
    arms = [_arm(name, spec.arm(name), device) for name in ArmName]
    dna = checkpoint(spec.dna.embedder)
    embedded = any(dataset.nucleotides is not None for dataset in spec.datasets)
    if not embedded or dna.family is Family.KMER:
        return tuple(arms)
    return (*arms, _dna(spec.dna, dna, device))


def intended_device(wanted: str) -> torch.device:
    """Return the device of that name whether it is there or not; ``auto`` is what there is.

    Raises
    ------
    UnsupportedChoice
        If it is no device's name.
    """
    return torch.device(wanted) if _CUDA.fullmatch(wanted) else choose_device(wanted)


def cuda_reasons(spec: MigrationSpec) -> list[str]:
    """Return what in a migration file asks for CUDA, in the file's words."""
    reasons = []
    if _CUDA.fullmatch(spec.embedding.device):
        reasons.append(f"embedding.device = {spec.embedding.device!r}")
    if spec.gates.device_memory_at_most is not None:
        reasons.append("gates.device_memory_at_most")
    return reasons


def examine_gates(spec: MigrationSpec) -> list[Finding]:
    """Say where a gate can never be measured because of what the file itself asks for."""
    if spec.gates.device_memory_at_most is None or spec.embedding.device != "cpu":
        return []
    return [
        lacking(
            "gates",
            "device_memory_at_most is set, but embedding.device is 'cpu': it is never measured",
            'set embedding.device to "cuda", or leave the gate out',
            needed=True,
        )
    ]


def _arm(name: ArmName, arm: Arm, device: torch.device) -> Need:
    row = checkpoint(arm.embedder)
    return Need(
        part=name.value,
        checkpoint=row,
        runtime=arm.runtime or row.default_runtime,
        weights=arm.weights or row.default_weights,
        device=device,
        dtype=arm.dtype or "float32",
        tokens_per_batch=arm.tokens_per_batch,
        attention=arm.attention,
        revision=arm.revision,
        remote_code=arm.remote_code,
        layers=arm.layers,
    )


def _dna(dna: Dna, row: Checkpoint, device: torch.device) -> Need:
    return Need(
        part="dna",
        checkpoint=row,
        runtime=row.default_runtime,
        weights=dna.weights or row.default_weights,
        device=device,
        tokens_per_batch=dna.tokens_per_batch,
        revision=dna.revision,
        remote_code=dna.remote_code,
    )
