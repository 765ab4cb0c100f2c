"""What is to be mapped and kept, and what that takes on the disk and in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from embedders import WINDOW_RESIDUES, Checkpoint, Heads, InputError, Truncation
from embedders.attention_maps import Selection
from harness.attention.choosing import Chosen
from harness.doctor.memory import BYTES_PER_VALUE


class Stored(StrEnum):
    """Numbers of a file: float16 takes half of float32, and is off by at most 2⁻¹² (0.00025)."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"


@dataclass(frozen=True, slots=True)
class Plan:
    """The maps of some records in one model.

    ``dtype`` is what the model computes in, ``stored`` what a file holds. Residues beyond the
    window enter under ``Truncation.LEGACY`` alone.
    """

    model: Checkpoint
    records: tuple[Chosen, ...]
    selection: Selection
    stored: Stored = Stored.FLOAT32
    truncation: Truncation = Truncation.TRUNCATE
    dtype: str = "float32"

    def __post_init__(self) -> None:
        if not self.records:
            raise InputError("a plan has at least one record")
        self.selection.within(self.model.architecture().layers)

    def entering(self, record: Chosen) -> str:
        """Return the residues that enter the model."""
        whole = self.truncation is Truncation.LEGACY
        return record.residues if whole else record.residues[:WINDOW_RESIDUES]

    def shape(self, record: Chosen) -> tuple[int, int, int, int]:
        """Return layers, heads, tokens and tokens of a record's tensor."""
        return self.selection.shape(self.model.heads, len(self.entering(record)))

    def tensor_bytes(self, record: Chosen) -> int:
        """Return what a record's tensor takes on the disk."""
        layers, heads, tokens, _ = self.shape(record)
        return layers * heads * tokens**2 * BYTES_PER_VALUE[self.stored]

    @property
    def disk_bytes(self) -> int:
        """What all tensors take on the disk; headers, pictures and index come on top."""
        return sum(map(self.tensor_bytes, self.records))

    @property
    def longest(self) -> Chosen:
        """The record of the most residues that enter."""
        return max(self.records, key=lambda each: len(self.entering(each)))

    @property
    def attention_bytes(self) -> int:
        """What one layer's attention takes in memory: scores and softmax of the longest record."""
        _, _, tokens, _ = self.shape(self.longest)
        return 2 * self.model.heads * tokens**2 * BYTES_PER_VALUE[self.dtype]

    @property
    def memory_bytes(self) -> int:
        """What the computation takes at least: weights and one layer's attention."""
        return self.model.parameters * BYTES_PER_VALUE[self.dtype] + self.attention_bytes

    def smaller(self) -> Iterator[tuple[str, Plan]]:
        """Yield plans that keep less of the same records, each with the option that asks for it."""
        of = self.selection
        if of.heads is Heads.EACH:
            yield "--heads mean", replace(self, selection=replace(of, heads=Heads.MEAN))
        if len(of.layers) > 1:
            last = of.layers[-1]
            yield f"--keep-layers {last}", replace(self, selection=replace(of, layers=(last,)))
        if self.stored is Stored.FLOAT32:
            yield "--store float16", replace(self, stored=Stored.FLOAT16)
