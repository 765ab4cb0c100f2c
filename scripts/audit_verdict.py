"""Audit the verdict end to end: a candidate made worse must not pass, an equal one must not fail.

    python -m scripts.audit_verdict -o results/verdict-audit

Embeds one of the demo's data sets once with mini-candidate, then retrains the classifier as a
migration does, over and over with other seeds, and takes every decision the verdict would rest on:

``noise``: the candidate's protein half is the baseline's plus Gaussian noise, whose size is found
by bisection so that the accuracy falls by ``--points``. A PASS is a fault where that is more than
the margin.
``identical``: the baseline against itself. A FAIL is a fault.
``other trainings``: the same features and folds, but the candidate's trainings have other seeds,
so that the arms differ by chance alone. A FAIL is a fault.

Any endpoint that fails is a FAIL, all that pass are a PASS, anything else is INCONCLUSIVE.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import DEMO
from classifier import predict, recipe_named, train
from harness import judge, provenance
from harness.evidence import Decision, Endpoint
from harness.files import make_folder, write_text_atomically
from harness.preparation import Preparation
from harness.results import to_json
from harness.spec import ArmName, Gates, read_spec
from scripts.tables import markdown

SCHEMA = "embedder-migration/verdict-audit/1"
FOLDS = 5
MARGINS = (0.01, 0.05)
FIRST_OF_BISECTION = 1_000_000
"""Training seeds of the bisection; no case has them."""
OTHER_TRAININGS = 2_000_000
"""Joined with the seed of a training, bit by bit, to get its other seed; the folds stay."""
MOST_NOISE, STEPS, CLOSE_ENOUGH = 8.0, 7, 0.003


@dataclass(frozen=True, slots=True)
class Plan:
    """How one arm is made: training seeds, and what sets it apart from the baseline.

    ``noise`` is in standard deviations of each column of the protein half.
    """

    seeds: tuple[int, ...]
    noise: float = 0.0
    noise_seed: int = 0
    other_trainings: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """The baseline's features, float32 ``(n, d)``, the protein half from column ``protein`` on."""

    matrix: torch.Tensor
    protein: int
    examples: judge.Examples
    recipe: str

    def predictions(self, plan: Plan) -> judge.Predictions:
        """Retrain one arm on the folds of its seeds."""
        matrix = self._noisy(plan) if plan.noise else self.matrix
        labels, groups = self.examples.labels, self.examples.groups
        other = OTHER_TRAININGS if plan.other_trainings else 0

        def trained(fold: judge.Fold, seed: int) -> NDArray[np.float32]:
            fitted = train(
                [matrix],
                labels,
                groups,
                recipe=recipe_named(self.recipe),
                seed=seed ^ other,
                rows=fold.train,
            )
            return predict(fitted, [matrix], rows=fold.test)

        return judge.out_of_fold(trained, self.examples, folds=FOLDS, seeds=plan.seeds)

    def _noisy(self, plan: Plan) -> torch.Tensor:
        random = torch.Generator().manual_seed(plan.noise_seed)
        matrix = self.matrix.clone()
        half = matrix[:, self.protein :]
        half += plan.noise * half.std(dim=0) * torch.randn(half.shape, generator=random)
        return matrix


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the verdict said of one case; ``accuracy_lost`` is over all rows and seeds."""

    seeds: tuple[int, ...]
    decision: Decision
    accuracy_lost: float
    endpoints: tuple[Endpoint, ...]


@dataclass(frozen=True, slots=True)
class Audit:
    """All cases of one kind at one margin.

    ``forbidden``: the decision that must not be; None where the truth allows any. ``noise`` as in
    :class:`Plan`.
    """

    name: str
    margin: float
    noise: float
    forbidden: Decision | None
    outcomes: tuple[Outcome, ...]

    def count(self, decision: Decision) -> int:
        """Return how many cases were decided so."""
        return sum(outcome.decision is decision for outcome in self.outcomes)

    @property
    def faults(self) -> int:
        """Return how many decisions must not be."""
        return 0 if self.forbidden is None else self.count(self.forbidden)


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that was audited."""

    schema: str
    provenance: provenance.Provenance
    dataset: str
    recipe: str
    cases: int
    seeds_of_a_case: int
    seconds: float
    audits: tuple[Audit, ...]


def main() -> int:
    """Audit, write and print; the exit code is 1 if a decision was wrong."""
    options = _options()
    started, clock = datetime.now(UTC), time.perf_counter()
    bench = demo_bench(options.dataset, options.recipe)
    # spawned: a forked process would inherit the locks of torch's threads
    with ProcessPoolExecutor(
        options.processes, get_context("spawn"), initializer=_take, initargs=(bench,)
    ) as pool:
        noises = [
            (points / 100, find_noise(pool, points / 100, options.retrainings))
            for points in options.points
        ]
        audits = audit(pool, options.dataset, options.seeds, options.retrainings, noises)
    report = Report(
        schema=SCHEMA,
        provenance=provenance.collect(
            shlex.join(["python", "-m", "scripts.audit_verdict", *sys.argv[1:]]), (DEMO,), started
        ),
        dataset=options.dataset,
        recipe=options.recipe,
        cases=options.seeds,
        seeds_of_a_case=options.retrainings,
        seconds=time.perf_counter() - clock,
        audits=audits,
    )
    make_folder(options.output)
    write_text_atomically(options.output / "audit.json", to_json(report))
    print(audit_table(audits))
    return 1 if any(each.faults for each in audits) else 0


def demo_bench(dataset: str, recipe: str) -> Bench:
    """Embed a data set of the demo with mini-candidate, as a migration does."""
    spec = read_spec(DEMO)
    with tempfile.TemporaryDirectory() as place:
        preparation = Preparation(spec, Path(place) / "features")
        embedder = preparation.loader(spec.candidate)()
        arm = ArmName.CANDIDATE
        table = preparation.features(spec.dataset(dataset), arm, {arm: embedder})
        matrix = torch.cat(list(table.blocks))  # a copy: the files go with their folder
    return Bench(matrix, matrix.shape[1] - embedder.spec.width, table.examples, recipe)


def find_noise(pool: ProcessPoolExecutor, wanted: float, retrainings: int) -> float:
    """Return the size of noise that costs about ``wanted`` accuracy, found by bisection.

    Raises
    ------
    SystemExit
        If even noise that drowns the protein half does not cost so much.
    """
    seeds = [FIRST_OF_BISECTION + number for number in range(2 * retrainings)]
    plain = _accuracies(pool.map(predictions, [Plan((seed,)) for seed in seeds]))

    def lost(noise: float) -> float:
        plans = [Plan((seed,), noise=noise, noise_seed=seed) for seed in seeds]
        return plain - _accuracies(pool.map(predictions, plans))

    if lost(MOST_NOISE) < wanted:
        raise SystemExit(f"no noise costs {wanted:.3f} of accuracy; ask for fewer --points")
    low, high = 0.0, MOST_NOISE
    for _ in range(STEPS):
        middle = (low + high) / 2
        found = lost(middle)
        if abs(found - wanted) <= CLOSE_ENOUGH:
            return middle
        low, high = (middle, high) if found < wanted else (low, middle)
    return (low + high) / 2


def audit(
    pool: ProcessPoolExecutor,
    dataset: str,
    cases: int,
    retrainings: int,
    noises: Sequence[tuple[float, float]],
) -> tuple[Audit, ...]:
    """Retrain all arms of all cases, and decide on them at each margin.

    ``noises``: accuracy that is lost, and the size of the noise that costs it.
    """
    seeds = [tuple(range(n * retrainings, (n + 1) * retrainings)) for n in range(cases)]
    equal = {
        "identical": [Plan(each) for each in seeds],
        "other trainings": [Plan(each, other_trainings=True) for each in seeds],
    }
    noisy = [
        [Plan(each, noise=size, noise_seed=n) for n, each in enumerate(seeds)] for _, size in noises
    ]
    baseline = list(pool.map(predictions, equal["identical"]))
    arms = [("noise", lost, size, plans) for (lost, size), plans in zip(noises, noisy, strict=True)]
    arms += [(name, 0.0, 0.0, plans) for name, plans in equal.items()]
    audits = []
    for name, lost, size, plans in arms:
        candidate = baseline if name == "identical" else list(pool.map(predictions, plans))
        for margin in MARGINS:
            forbidden = _forbidden(lost, margin)
            outcomes = map(decide, repeat(dataset), baseline, candidate, repeat(margin))
            audits.append(Audit(name, margin, size, forbidden, tuple(outcomes)))
    return tuple(audits)


def _forbidden(lost: float, margin: float) -> Decision | None:
    if not lost:
        return Decision.FAIL
    return Decision.PASS if lost > margin else None


def decide(
    dataset: str, baseline: judge.Predictions, candidate: judge.Predictions, margin: float
) -> Outcome:
    """Return the verdict on one case: all endpoints at all levels."""
    endpoints = judge.paired_endpoints(
        baseline, candidate, dataset=dataset, gates=Gates(margin, margin)
    )
    decisions = [each.paired.decision for each in endpoints]
    decision = Decision.INCONCLUSIVE
    if Decision.FAIL in decisions:
        decision = Decision.FAIL
    elif all(each is Decision.PASS for each in decisions):
        decision = Decision.PASS
    lost = _accuracy(baseline) - _accuracy(candidate)
    return Outcome(baseline.seeds, decision, lost, endpoints)


def audit_table(audits: Iterable[Audit]) -> str:
    """Return Markdown: what was decided how often, and how often that must not be."""
    rows = [
        ("candidate", "margin", "accuracy lost", "PASS", "FAIL", "INCONCLUSIVE", "faults"),
    ]
    for each in audits:
        lost = float(np.mean([outcome.accuracy_lost for outcome in each.outcomes]))
        passed, failed, unsure = (
            str(each.count(decision))
            for decision in (Decision.PASS, Decision.FAIL, Decision.INCONCLUSIVE)
        )
        faults = "–" if each.forbidden is None else f"{each.faults} ({each.forbidden})"
        rows.append((each.name, f"{each.margin:g}", f"{lost:+.3f}", passed, failed, unsure, faults))
    return markdown(rows)


_BENCH: list[Bench] = []


def _take(bench: Bench) -> None:
    """Give a process of the pool its features."""
    torch.set_num_threads(1)
    _BENCH[:] = [bench]


def predictions(plan: Plan) -> judge.Predictions:
    """Retrain one arm in a process of the pool."""
    return _BENCH[0].predictions(plan)


def _accuracy(found: judge.Predictions) -> float:
    return float(((found.probabilities >= 0.5) == (found.examples.labels == 1)).mean())


def _accuracies(found: Iterable[judge.Predictions]) -> float:
    return float(np.mean([_accuracy(each) for each in found]))


def _options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=50, help="cases of each kind")
    parser.add_argument("--dataset", default="proteins", help="of the demo (default: proteins)")
    parser.add_argument("--retrainings", type=int, default=10, help="training seeds of each case")
    parser.add_argument(
        "--points", type=float, nargs="+", default=[3.0, 8.0], help="accuracy that noise is to cost"
    )
    parser.add_argument("--recipe", default="fast")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
