"""Compare training recipes on many made-up rows: what accuracy, and does the shuffle matter?

    python -m scripts.audit_recipes -o results/recipes-at-scale
    python -m scripts.audit_recipes -o results/recipes-original --recipes original --seeds 1

Two sets, each of 100,000 rows to learn from, sorted by class, and 40,000 others to be scored:

``linear``: 1,664 columns of two normal distributions, contigs of 8 rows that err together, at best
92% right. What is hard is not to learn the noise.
``curved``: 512 columns, of which products of eight decide, at best 91.9% right on these rows. What
is hard is to find them.

``large, uniform`` has the same rows in one pool, whatever memory that takes; ``large, pools of 64
MiB`` cuts the curved set, which otherwise fits in one pool, into three; ``large, float32`` rounds
nothing.
One thread, so that the figures repeat on any number of cores.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import NormalDist

import numpy as np
import torch
from numpy.typing import NDArray

import classifier
from classifier import feeding
from harness import provenance, report
from harness.files import fresh_folder, write_text_atomically
from harness.progress import announced
from harness.results import to_json

SCHEMA = "embedder-migration/recipes-at-scale/1"
ROWS, TEST_ROWS = 100_000, 40_000
POOL_BYTES = feeding.POOL_BYTES
MIXED = {"linear": ("large, uniform", 2**40), "curved": ("large, pools of 64 MiB", 2**26)}
"""What else the recipe ``large`` is tried with on each set: the size of a pool."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Features ``(n, d)``, labels ``(n,)`` and groups."""

    features: torch.Tensor
    labels: NDArray[np.int64]
    groups: list[str]


@dataclass(frozen=True, slots=True)
class Trained:
    """What one training came to on the rows that were left out of it."""

    data: str
    recipe: str
    seed: int
    accuracy: float
    cross_entropy: float
    epochs: int
    best_epoch: int


def linear(rows: int, seed: int) -> Rows:
    """Two normal distributions; rows of a contig share three tenths of their variance."""
    world = np.random.default_rng(99)
    way = world.standard_normal(1664).astype(np.float32)
    way *= NormalDist().inv_cdf(0.92) / np.linalg.norm(way)
    scale = np.exp(world.normal(np.log(0.3), 0.5, 1664)).astype(np.float32)
    centre = world.normal(0, 0.3, 1664).astype(np.float32)
    generator = np.random.default_rng(seed)
    labels = (np.arange(rows) >= rows // 2).astype(np.int64)
    contig = np.arange(rows) // 8
    features = generator.standard_normal((rows, 1664), dtype=np.float32)
    features *= np.float32(0.7**0.5)
    shared = generator.standard_normal((int(contig[-1]) + 1, 1664), dtype=np.float32)
    features += np.repeat(shared, 8, axis=0)[:rows] * np.float32(0.3**0.5)
    features += way * (2 * labels - 1)[:, None].astype(np.float32)
    features *= scale
    features += centre
    return Rows(torch.from_numpy(features), labels, [f"c{each}" for each in contig])


def curved(rows: int, seed: int) -> Rows:
    """Labels drawn by a chance that products of eight columns decide, and a little of all 512."""
    world = np.random.default_rng(5)
    inner = np.zeros((512, 12), dtype=np.float32)
    inner[:8] = world.standard_normal((8, 12)) * 0.6
    outer = world.standard_normal(12).astype(np.float32)
    slope = world.standard_normal(512).astype(np.float32) / 512**0.5
    generator = np.random.default_rng(seed)
    features = generator.standard_normal((rows, 512), dtype=np.float32)
    bent = np.tanh(features @ inner)
    score = (bent * np.tanh(np.roll(features @ inner, 1, 1))) @ outer / 12**0.5 * 4
    chance = 1 / (1 + np.exp(-3 * (score + features @ slope)))
    labels = (generator.random(rows) < chance).astype(np.int64)
    order = np.argsort(labels, kind="stable")
    return Rows(torch.from_numpy(features[order]), labels[order], [f"c{n}" for n in range(rows)])


SETS: dict[str, Callable[[int, int], Rows]] = {"linear": linear, "curved": curved}


def main() -> int:
    """Train, write ``recipes.json`` and ``recipes.txt``, and print the table."""
    options = _options()
    started = datetime.now(UTC)
    out = fresh_folder(options.output)
    torch.set_num_threads(1)
    found: list[Trained] = []
    for data in options.sets:
        learnt, scored = SETS[data](options.rows, 1), SETS[data](options.test_rows, 2)
        for _, step in announced(_trainings(data, learnt, scored, options)):
            found.append(step())  # type: ignore[arg-type]  # what these steps return
    line = shlex.join(["python", "-m", "scripts.audit_recipes", *sys.argv[1:]])
    document = {
        "schema": SCHEMA,
        "rows": options.rows,
        "test_rows": options.test_rows,
        "trainings": [asdict(each) for each in found],
        "provenance": asdict(provenance.collect(line, (), started)),
    }
    table = report.plain_table(
        [
            (
                *(each.data, each.recipe, str(each.seed)),
                *(f"{each.accuracy:.4f}", f"{each.cross_entropy:.4f}"),
                f"{each.best_epoch} of {each.epochs}",
            )
            for each in found
        ],
        ("rows", "training", "seed", "accuracy", "cross-entropy", "best epoch"),
    )
    write_text_atomically(out / "recipes.json", to_json(document))
    write_text_atomically(out / "recipes.txt", f"{table}\n")
    print(table)
    return 0


def _trainings(
    data: str, learnt: Rows, scored: Rows, options: argparse.Namespace
) -> Iterator[tuple[str, Callable[[], object]]]:
    for name in options.recipes:
        arms = [(name, classifier.recipe_named(name), POOL_BYTES)]
        if name == "large":
            recipe = arms[0][1]
            mixed, pool_bytes = MIXED[data]
            arms.append((mixed, recipe, pool_bytes))
            arms.append(("large, float32", replace(recipe, precision="float32"), POOL_BYTES))
        for arm, recipe, pool in arms:
            for seed in range(options.seeds):
                work = partial(train, data, arm, learnt, scored, recipe, pool, seed)
                yield f"{data}, {arm}, seed {seed}", work


def train(
    data: str,
    arm: str,
    learnt: Rows,
    scored: Rows,
    recipe: classifier.Recipe,
    pool_bytes: int,
    seed: int,
) -> Trained:
    """Train once and score; the size of a pool is set for this process."""
    feeding.POOL_BYTES = pool_bytes
    trained = classifier.train(
        [learnt.features], learnt.labels, learnt.groups, recipe=recipe, seed=seed
    )
    viral = classifier.predict(trained, [scored.features])
    of_truth = np.where(scored.labels == 1, viral, 1 - viral).astype(np.float64)
    return Trained(
        data=data,
        recipe=arm,
        seed=seed,
        accuracy=float(np.mean((viral >= 0.5) == scored.labels)),
        cross_entropy=float(-np.log(of_truth + 1e-9).mean()),
        epochs=len(trained.history),
        best_epoch=trained.best_epoch,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help="a new folder")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--recipes", nargs="+", default=["large", "fast"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--test-rows", type=int, default=TEST_ROWS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
