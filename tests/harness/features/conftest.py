"""A tiny embedder that honours the contract, and files built by hand to the original forms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from embedders.contract import (
    DEFAULT_TOKENS_PER_BATCH,
    Cleaned,
    Embedder,
    EmbedderSpec,
    Modality,
    Truncation,
    WeightsIdentity,
)
from embedders.errors import RejectedSequence

WIDTH = 3


def toy_vector(residues: str) -> list[float]:
    """Length, sum of codes and sum of codes times place, scaled: exact in float32."""
    codes = [ord(residue) for residue in residues]
    weighted = sum(place * code for place, code in enumerate(codes, start=1)) % 65521
    return [float(len(codes)), float(sum(codes)), float(weighted)]


class ToyEmbedder:
    """Counts letters; vectors with a ``Z`` come out as NaN, as an overflow would."""

    def __init__(
        self, name: str, modality: Modality, truncation: Truncation, dtype: str, pads: bool
    ) -> None:
        self.spec = EmbedderSpec(
            name=name,
            runtime="toy",
            modality=modality,
            width=WIDTH,
            parameters=1,
            dtype=dtype,
            device="cpu",
            weights=WeightsIdentity("random", "0" * 64, seed=0),
            truncation=truncation,
            window_residues=50,
            cleaning_policy="toy-1",
            versions=(("toy", "1"),),
            pads=pads,
        )
        self.batches: list[list[int]] = []

    def clean(self, sequence: str) -> Cleaned:
        residues = sequence.upper()
        if not residues.isalpha():
            raise RejectedSequence("not a letter")
        lower = sum(old != new for old, new in zip(sequence, residues, strict=True))
        return Cleaned(residues, Counter({"lower_case": lower}) if lower else Counter())

    def embed(
        self, sequences: Sequence[str], *, tokens_per_batch: int = DEFAULT_TOKENS_PER_BATCH
    ) -> torch.Tensor:
        del tokens_per_batch
        self.batches.append([len(each) for each in sequences])
        matrix = torch.tensor([toy_vector(each) for each in sequences]).reshape(-1, WIDTH)
        for row, each in enumerate(sequences):
            if "Z" in each:
                matrix[row, 1] = torch.nan
        return matrix


MakeEmbedder = Callable[..., Embedder]
Vector = Callable[[str], list[float]]
WriteOriginal = Callable[[Path, dict[str, list[float]]], Path]


@pytest.fixture(scope="session")
def vector_of() -> Vector:
    """Return the function that tells what the toy embedder must give."""
    return toy_vector


@pytest.fixture(scope="session")
def make_embedder() -> MakeEmbedder:
    """Return a maker of toy embedders."""

    def make(
        name: str = "toy",
        modality: Modality = Modality.PROTEIN,
        truncation: Truncation = Truncation.TRUNCATE,
        dtype: str = "float32",
        pads: bool = True,
    ) -> Embedder:
        return ToyEmbedder(name, modality, truncation, dtype, pads)

    return make


@pytest.fixture(scope="session")
def write_protein() -> WriteOriginal:
    """Return a writer of protein files as fair-esm's users save them."""

    def write(path: Path, rows: dict[str, list[float]]) -> Path:
        data = [torch.tensor(row) for row in rows.values()]
        torch.save({"proteins": list(rows), "data": data}, path)
        return path

    return write


@pytest.fixture(scope="session")
def write_dna() -> WriteOriginal:
    """Return a writer of nucleotide files: lists of Python floats."""

    def write(path: Path, rows: dict[str, list[float]]) -> Path:
        data: list[dict[str, Any]] = [
            {"label": each, "mean_representation": row} for each, row in rows.items()
        ]
        torch.save({"nucleotide": list(rows), "data": data}, path)
        return path

    return write
