"""Simulate how often a bad candidate passes where several ask for one place.

    python -m scripts.simulate_choice -o results/choice-simulation

Draws thousands of choices among 1 to 8 candidates whose true loss is known (see
``harness/judge/simulation.py``), and judges each by every rule of ``harness choose``, and by none.
Either all candidates lose exactly the margin, or every other one loses nothing. Writes
``simulation.json`` (everything, with provenance); prints the tables.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import numpy as np

from harness import provenance
from harness.files import make_folder, write_text_atomically
from harness.judge import Multiplicity, shares_of_alpha
from harness.judge.simulation import Scenario, draw, p_values
from harness.judge.spread import Figures
from harness.results import to_json
from scripts.tables import markdown

SCHEMA = "embedder-migration/choice-simulation/1"
ALPHA, MARGIN = 0.025, 0.05
CLUSTERS = (10, 20, 40, 80)
CANDIDATES = (1, 2, 4, 8)
POWER_CANDIDATES = (2, 8)
ROWS, DISCORDANCE, CORRELATION = 20, 0.1, 0.05
RETRAININGS = ((3, 0.0), (10, 0.35))
"""Seeds, and the part of the rows that each sways: those that agree, and those of the demo."""
NO_RULE = "none"
GOOD_ORDER, BAD_ORDER = "fixed-sequence, good first", "fixed-sequence, bad first"
RULES = (NO_RULE, "bonferroni", "holm", GOOD_ORDER, BAD_ORDER)


@dataclass(frozen=True, slots=True)
class Cell:
    """One kind of choice under one rule.

    ``error``: share of the choices in which a candidate passes that loses the margin. ``power``:
    share of the candidates that lose nothing and pass; None where there are none. ``found``: share
    of the choices in which any of them passes.
    """

    clusters: int
    seeds: int
    sway: float
    candidates: int
    good: int
    rule: str
    error: float
    power: float | None
    found: float | None


@dataclass(frozen=True, slots=True)
class Simulation:
    """Everything that was simulated."""

    schema: str
    provenance: provenance.Provenance
    seed: int
    repeats: int
    alpha: float
    margin: float
    rows_per_cluster: int
    discordance: float
    correlation: float
    cells: tuple[Cell, ...]


def main() -> int:
    """Simulate, write and print."""
    options = _options()
    started = datetime.now(UTC)
    cells = tuple(simulate(options.repeats, np.random.default_rng(options.seed)))
    simulation = Simulation(
        schema=SCHEMA,
        provenance=provenance.collect(
            shlex.join(["python", "-m", "scripts.simulate_choice", *sys.argv[1:]]), (), started
        ),
        seed=options.seed,
        repeats=options.repeats,
        alpha=ALPHA,
        margin=MARGIN,
        rows_per_cluster=ROWS,
        discordance=DISCORDANCE,
        correlation=CORRELATION,
        cells=cells,
    )
    make_folder(options.output)
    write_text_atomically(options.output / "simulation.json", to_json(simulation))
    print(error_table(cells), power_table(cells), sep="\n\n")
    return 0


def simulate(
    repeats: int, random: np.random.Generator, clusters: Sequence[int] = CLUSTERS
) -> Iterator[Cell]:
    """Judge ``repeats`` choices of every kind by every rule."""
    for count, (seeds, sway) in product(clusters, RETRAININGS):
        bad, good = (
            _tests(_scenario(count, seeds, sway, loss), repeats, max(CANDIDATES), random)
            for loss in (MARGIN, 0.0)
        )
        for candidates, share in product(CANDIDATES, (0.0, 0.5)):
            better = int(share * candidates)
            if share and not better:
                continue
            tests = np.concatenate([good[:, :better], bad[:, : candidates - better]], axis=1)
            for rule in RULES:
                yield Cell(
                    count, seeds, sway, candidates, better, rule, *judged(tests, better, rule)
                )


def judged(tests: Figures, good: int, rule: str) -> tuple[float, float | None, float | None]:
    """Return error, power and found of choices ``(repeats, candidates)``, the good ones first."""
    if rule == BAD_ORDER:
        passed = np.array([_passed(row[::-1], rule)[::-1] for row in tests.tolist()])
    else:
        passed = np.array([_passed(row, rule) for row in tests.tolist()])
    error = float(passed[:, good:].any(axis=1).mean())
    if not good:
        return error, None, None
    return error, float(passed[:, :good].mean()), float(passed[:, :good].any(axis=1).mean())


def error_table(cells: Sequence[Cell]) -> str:
    """Return Markdown: how often anyone passes where all candidates lose the margin."""
    header = ["clusters", "candidates"]
    for seeds, sway in RETRAININGS:
        header += [f"{rule}, {_way(seeds, sway)}" for rule in ("no rule", "Holm")]
    rows = [header]
    for count, candidates in product(sorted({each.clusters for each in cells}), CANDIDATES):
        row = [str(count), str(candidates)]
        for (seeds, sway), rule in product(RETRAININGS, (NO_RULE, "holm")):
            row.append(f"{100 * _cell(cells, count, seeds, sway, candidates, 0, rule).error:.1f}%")
        rows.append(row)
    return markdown(rows)


def power_table(cells: Sequence[Cell]) -> str:
    """Return Markdown: what each rule costs where half the candidates lose nothing."""
    rows = [["clusters", "candidates", "rule", "a bad one passes", "a good one passes", "any does"]]
    seeds, sway = RETRAININGS[1]
    largest = sorted({each.clusters for each in cells})[-2:]
    for count, candidates, rule in product(largest, POWER_CANDIDATES, RULES):
        each = _cell(cells, count, seeds, sway, candidates, candidates // 2, rule)
        if each.power is None or each.found is None:
            continue
        shares = (each.error, each.power, each.found)
        rows.append([str(count), str(candidates), rule, *(f"{100 * s:.1f}%" for s in shares)])
    return markdown(rows)


def _tests(
    scenario: Scenario, repeats: int, candidates: int, random: np.random.Generator
) -> Figures:
    """Return the p-values of candidates that do not depend on each other."""
    drawn = (draw(scenario, repeats, random) for _ in range(candidates))
    return np.stack([p_values(each, margin=MARGIN) for each in drawn], axis=1)


def _passed(tests: Sequence[float], rule: str) -> list[bool]:
    if rule == NO_RULE:
        return [p < ALPHA for p in tests]
    method = Multiplicity(rule.partition(",")[0])
    shares = shares_of_alpha(tests, alpha=ALPHA, method=method)
    return [share is not None and p < share for p, share in zip(tests, shares, strict=True)]


def _scenario(clusters: int, seeds: int, sway: float, loss: float) -> Scenario:
    return Scenario(
        (ROWS,) * clusters,
        loss=loss,
        discordance=DISCORDANCE,
        correlation=CORRELATION,
        seeds=seeds,
        sway=sway,
    )


def _cell(
    cells: Sequence[Cell],
    clusters: int,
    seeds: int,
    sway: float,
    candidates: int,
    good: int,
    rule: str,
) -> Cell:
    wanted = (clusters, seeds, sway, candidates, good, rule)
    return next(
        each
        for each in cells
        if (each.clusters, each.seeds, each.sway, each.candidates, each.good, each.rule) == wanted
    )


def _way(seeds: int, sway: float) -> str:
    return f"{seeds} retrainings that {'differ' if sway else 'agree'}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=4000, help="choices of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
