"""Train one bundled small model: masked-language modelling, and distillation from ESM2-8M.

    python -m scripts.train_mini mini-baseline
    python -m scripts.train_mini mini-candidate
    python -m scripts.train_mini mini-baseline --go-on
    python -m scripts.train_mini mini-candidate --go-on

Each sequence is one crop of a UniProt protein that is not in the demo set nor near-identical to one
there. No label is used. The student reads the crop, in half of the sequences with 15 % of the
residues masked. Through linear maps that are thrown away afterwards it must give the teacher's
value of every residue, and the teacher's mean over the crop in whitened principal components;
through its own head the masked residues.
"""

import argparse
import csv
import gzip
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from scripts.mini_models import (
    ARCHITECTURES,
    FIRST_AMINO_ACID,
    LAST_AMINO_ACID,
    MASK,
    Architecture,
    build,
    mean_over,
    padded,
    residue_mask,
    save,
    tokens,
)
from scripts.teacher import (
    COMPONENTS,
    VALIDATION_PROTEINS,
    WIDTH,
    Lessons,
    crop_components,
    crops_of,
    lessons,
    teacher_scales,
    training_proteins,
)

SEED = 8
DATA_SEED = 1
FOLDER = Path("embedders/mini")
DEMO = Path("benchmarks/data/proteins.faa.gz")
# The small model costs half as much a step and gets twice as many: reading more is what keeps it
# close to the one that is twice as wide.
STEPS = {"mini-baseline": 1100, "mini-candidate": 2100}
ROUND_TWO_STEPS = {"mini-baseline": 2000, "mini-candidate": 3800}
PEAK_RATE = {"mini-baseline": 2e-3, "mini-candidate": 2.5e-3}
BATCH_TOKENS = 2048
LOG_EVERY = 100


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch: ids `(n, t)` as the student reads them, and what it must give back.

    `residues` is True on residues; `asked` `(n, t)` holds the token to guess, -100 elsewhere;
    `taught` `(n, t, 320)` is the teacher's row of each residue, standardised, zero elsewhere;
    `components` `(n, COMPONENTS)` the teacher's mean over the crop.
    """

    ids: Tensor
    mask: Tensor
    residues: Tensor
    asked: Tensor
    taught: Tensor
    components: Tensor


class Student(nn.Module):
    """The model in training and its linear maps onto what the teacher gives."""

    def __init__(self, architecture: Architecture, seed: int) -> None:
        super().__init__()
        self.model = build(architecture, seed)
        self.onto_residues = nn.Linear(architecture.width, WIDTH)
        self.onto_components = nn.Linear(architecture.width, COMPONENTS)
        # At zero every error starts at exactly 1, what knowing nothing costs.
        for onto in (self.onto_residues, self.onto_components):
            nn.init.zeros_(onto.weight)
            nn.init.zeros_(onto.bias)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the losses: residue and mean are squared errors where 1 is "knows nothing"."""
        encoder = self.model.get_submodule("esm")
        with torch.autocast("cpu", torch.bfloat16):
            hidden = encoder(input_ids=batch.ids, attention_mask=batch.mask).last_hidden_state
        hidden = hidden.float()
        wrong = (self.onto_residues(hidden) - batch.taught) * batch.residues.unsqueeze(-1)
        of_mean = self.onto_components(mean_over(hidden, batch.residues)) - batch.components
        guessed = batch.asked >= 0
        letters = self.model.get_submodule("lm_head")(hidden[guessed])
        return {
            "residue": wrong.square().sum() / (batch.residues.sum() * WIDTH),
            "mean": of_mean.square().mean(),
            "masked": F.cross_entropy(letters, batch.asked[guessed])
            if guessed.any()
            else hidden.new_zeros(()),
        }


def make_batch(
    taught: Lessons,
    components: NDArray[np.float32],
    rows: list[int],
    scales: dict[str, Tensor],
    generator: np.random.Generator,
) -> Batch:
    """Return a batch of crops, half of them masked with ESM-2's 15 % and 80/10/10 recipe."""
    ids, mask = padded([tokens(taught.crops[i].sequence) for i in rows])
    residues = residue_mask(ids)
    targets = torch.zeros(*ids.shape, WIDTH)
    for row, i in enumerate(rows):
        teacher = torch.from_numpy(taught.of(i).astype(np.float32))
        targets[row, 1 : 1 + len(teacher)] = (teacher - scales["mean"]) / scales["residue_spread"]
    masked_rows = torch.from_numpy(generator.random(len(rows)) < 0.5).unsqueeze(1)
    chosen = torch.from_numpy(generator.random(ids.shape) < 0.15) & masked_rows & residues
    kind = torch.from_numpy(generator.random(ids.shape))
    other = torch.from_numpy(generator.integers(FIRST_AMINO_ACID, LAST_AMINO_ACID + 1, ids.shape))
    asked = torch.where(chosen, ids, -100)
    read = torch.where(chosen & (kind < 0.8), MASK, ids)
    read = torch.where(chosen & (kind >= 0.9), other, read)
    return Batch(read, mask, residues, asked, targets, torch.from_numpy(components[rows]))


def batches(taught: Lessons, rows: list[int], seed: int) -> Iterator[list[int]]:
    """Yield batches without end: shuffled, then sorted by length within pools, to pad little."""
    generator = np.random.default_rng(seed)
    lengths = np.array([len(crop.sequence) for crop in taught.crops])
    while True:
        order = generator.permutation(rows)
        for pool in np.array_split(order, max(1, len(order) // 1024)):
            by_length = sorted(pool.tolist(), key=lambda i: int(lengths[i]))
            groups: list[list[int]] = [[]]
            for i in by_length:
                if (lengths[i] + 2) * (len(groups[-1]) + 1) > BATCH_TOKENS:
                    groups.append([])
                groups[-1].append(i)
            for number in generator.permutation(len(groups)):
                yield groups[number]


def rate_at(step: int, steps: int, peak: float) -> float:
    """Return the learning rate: linear warm-up over 5 % of the steps, then a cosine to 2 %."""
    warm = max(1, steps // 20)
    if step < warm:
        return peak * (step + 1) / warm
    return peak * (0.02 + 0.98 * (1 + math.cos(math.pi * (step - warm) / (steps - warm))) / 2)


def validate(student: Student, held_out: list[Batch]) -> dict[str, float]:
    """Return the mean of each loss over the held-out batches."""
    student.eval()
    with torch.no_grad():
        found = [student.losses(batch) for batch in held_out]
    student.train()
    return {name: float(np.mean([losses[name].item() for losses in found])) for name in found[0]}


def train(
    architecture: Architecture, taught: Lessons, steps: int, log: Path, start: Path | None
) -> nn.Module:
    """Return the trained model; the held-out losses go to `log` as CSV.

    With `start`, a model folder, training goes on from its weights and `log` from its last row.
    """
    scales = teacher_scales(taught)
    components = crop_components(taught, len(taught.crops) - VALIDATION_PROTEINS)
    fixed = np.random.default_rng(0)
    every = list(range(len(taught.crops)))
    learnt, kept = every[:-VALIDATION_PROTEINS], every[-VALIDATION_PROTEINS:]
    held_out = [
        make_batch(taught, components, kept[i : i + 20], scales, fixed)
        for i in range(0, len(kept), 20)
    ]
    student = Student(architecture, SEED)
    done, seen, spent = (0, 0, 0.0) if start is None else last_row(log)
    if start is not None:
        stored = load_file(start / "model.safetensors")
        student.model.load_state_dict(stored, strict=False)
    peak = PEAK_RATE[architecture.name]
    optimiser = torch.optim.AdamW(
        student.parameters(), lr=peak, betas=(0.9, 0.98), weight_decay=0.01, fused=True
    )
    # Another round sees the crops in another order.
    stream = batches(taught, learnt, SEED + done)
    generator = np.random.default_rng(SEED + done)
    started = time.perf_counter() - spent
    with log.open("w" if start is None else "a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if start is None:
            writer.writerow(("step", "tokens", "rate", "residue", "mean", "masked", "wall_s"))
        for step in range(steps + 1):
            if step % LOG_EVERY == 0 or step == steps:
                found = validate(student, held_out)
                wall = round(time.perf_counter() - started, 1)
                values = [f"{found[name]:.4f}" for name in ("residue", "mean", "masked")]
                row = (done + step, seen, f"{rate_at(step, steps, peak):.2e}", *values, wall)
                writer.writerow(row)
                file.flush()
                print(*row, flush=True)
            if step == steps:
                break
            for group in optimiser.param_groups:
                group["lr"] = rate_at(step, steps, peak)
            batch = make_batch(taught, components, next(stream), scales, generator)
            losses = student.losses(batch)
            total = 0.2 * losses["residue"] + losses["mean"] + 0.1 * losses["masked"]
            optimiser.zero_grad(set_to_none=True)
            total.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(student.parameters(), 1.0)
            optimiser.step()
            seen += int(batch.mask.sum())
    return student.model


def last_row(log: Path) -> tuple[int, int, float]:
    """Return steps, tokens and seconds up to the end of a training log."""
    with log.open(encoding="utf-8", newline="") as file:
        row = list(csv.DictReader(file))[-1]
    return int(row["step"]), int(row["tokens"]), float(row["wall_s"])


def write_training_ids(accessions: list[str], path: Path) -> None:
    """Write the accessions that were learnt from, sorted, one a line, in reproducible gzip."""
    with path.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
        packed.write(("\n".join(sorted(accessions)) + "\n").encode("ascii"))


def main() -> None:
    """Train one model and write its folder, log and training ids."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=sorted(ARCHITECTURES))
    parser.add_argument("-o", "--output", type=Path, default=FOLDER, help="folder [%(default)s]")
    parser.add_argument("--demo", type=Path, default=DEMO, help="proteins to leave out")
    parser.add_argument("--cache", type=Path, help="folder of fetched packages")
    parser.add_argument("--steps", type=int, help="optimiser steps [the recipe's]")
    parser.add_argument("--go-on", action="store_true", help="another round from what is there")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads [%(default)s]")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    output: Path = arguments.output
    output.mkdir(parents=True, exist_ok=True)
    architecture = ARCHITECTURES[arguments.name]
    crops = crops_of(training_proteins(arguments.demo, arguments.cache), DATA_SEED)
    write_training_ids([crop.accession for crop in crops], output / "training-ids.txt.gz")
    taught = lessons(crops, arguments.cache)
    folder = output / architecture.name
    log = output / f"training-log-{architecture.name}.csv"
    if arguments.go_on and not (folder.is_dir() and log.is_file()):
        parser.error(f"--go-on needs {folder} and {log} of an earlier round")
    planned = (ROUND_TWO_STEPS if arguments.go_on else STEPS)[architecture.name]
    steps = arguments.steps or planned
    model = train(architecture, taught, steps, log, folder if arguments.go_on else None)
    save(model, architecture, folder)


if __name__ == "__main__":
    main()
