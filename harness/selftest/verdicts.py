"""Faults in what is judged: a worse candidate, leaky splits, predictions tampered with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from classifier import recipe_named
from harness import judge, provenance
from harness.evidence import Decision
from harness.results import Verdict
from harness.selftest.data import MadeUp
from harness.selftest.trap import Control, Trap, trap_of_refusal
from harness.spec import ArmName, Gates

FOLDS = 4
SEEDS = (0, 1, 2, 3, 4)
GATES = Gates(sensitivity_margin=0.05, specificity_margin=0.05)
MOST_NOISE = 64
"""Standard deviations that leave nothing of an embedding."""
DATASET = "made-up"


def traps(
    made_up: MadeUp, matrix: torch.Tensor, folder: Path, seed: int
) -> tuple[list[Trap], Control]:
    """Plant each fault in the features or in the predictions of the made-up proteins.

    The control judges the sound features against themselves.
    """
    sound = _classify(made_up, matrix)
    noisy, size = _spoilt(made_up, matrix, sound, seed)
    again, worse = _verdict(sound, sound), _verdict(sound, noisy)
    moved = replace(sound, examples=_moved(sound.examples))
    found = [
        Trap(
            fault=f"noise of {size:g} standard deviations on the candidate's embeddings",
            guard="non-inferiority of sensitivity and specificity",
            sound=f"without noise: {again.decision}",
            faulty=f"with noise: {worse.decision}",
            quiet=again.decision is Decision.PASS,
            caught=worse.decision is not Decision.PASS,
        ),
        _leak(made_up),
        trap_of_refusal(
            "the candidate's predictions written under other rows' ids",
            "pairing by id, label, group and fold",
            lambda: _verdict(sound, sound),
            lambda: _verdict(sound, moved),
        ),
        _edited(sound, folder),
    ]
    control = Control(
        compared="sensitivity and specificity of an embedder against itself",
        found=str(again.decision),
        holds=again.decision is Decision.PASS,
    )
    return found, control


def _edited(sound: judge.Predictions, folder: Path) -> Trap:
    """Write predictions as a run does, then change one digit of them."""
    path = folder / "predictions.csv"
    judge.write_predictions(path, sound)
    (record,) = judge.summarise(
        sound,
        arm=ArmName.CANDIDATE,
        dataset=DATASET,
        file=path.name,
        sha256=provenance.sha256(path),
    )

    def edited() -> None:
        text = path.read_text(encoding="utf-8").rstrip("\n")
        path.write_text(text[:-1] + ("0" if text[-1] != "0" else "1") + "\n", encoding="utf-8")
        judge.stored_predictions(folder, record)

    return trap_of_refusal(
        "one digit of the stored predictions edited after the run",
        "SHA-256 in comparison.json",
        lambda: judge.stored_predictions(folder, record),
        edited,
    )


def _classify(made_up: MadeUp, matrix: torch.Tensor) -> judge.Predictions:
    return judge.cross_validate(
        [matrix], made_up.examples, folds=FOLDS, seeds=SEEDS, recipe=recipe_named("fast")
    )


def _spoilt(
    made_up: MadeUp, matrix: torch.Tensor, sound: judge.Predictions, seed: int
) -> tuple[judge.Predictions, float]:
    """Double the noise until accuracy has fallen by more than twice the margin, or noise is all."""
    random = torch.Generator().manual_seed(seed)
    noise = torch.randn(matrix.shape, generator=random) * matrix.std(dim=0)
    size = 0.5
    while True:
        noisy = _classify(made_up, matrix + size * noise)
        lost = _accuracy(sound) - _accuracy(noisy)
        if lost > 2 * GATES.sensitivity_margin or size >= MOST_NOISE:
            return noisy, size
        size *= 2


def _accuracy(predictions: judge.Predictions) -> float:
    called = predictions.probabilities >= 0.5
    return float(np.mean(called == (predictions.examples.labels == 1)))


def _verdict(baseline: judge.Predictions, candidate: judge.Predictions) -> Verdict:
    """Decide by the gates of a migration on both endpoints."""
    endpoints = judge.paired_endpoints(baseline, candidate, dataset=DATASET, gates=GATES)
    rates = [
        rate
        for arm, predictions in zip(ArmName, (baseline, candidate), strict=True)
        for rate in judge.summarise(predictions, arm=arm, dataset=DATASET, file="", sha256="")
    ]
    return judge.decide(
        judge.endpoint_gates(rates, endpoints, dataset=DATASET, levels=["chunk"], gates=GATES)
    )


def _leak(made_up: MadeUp) -> Trap:
    """Cut rows without their groups: kin of the test rows come into the training part."""
    labels, groups = made_up.examples.labels, made_up.examples.groups
    twins = judge.Twins(made_up.examples.contigs, made_up.homologues)
    by_row, by_group = (
        sum(int(twins.across(fold).sum()) for fold in cut)
        for cut in (
            judge.row_folds(labels, FOLDS, 0),
            judge.grouped_folds(labels, groups, FOLDS, 0),
        )
    )
    return Trap(
        fault="folds cut by row, so that kin of test proteins are trained on",
        guard="leak report",
        sound=f"by group: {by_group} of {len(labels)} test rows have a near twin in training",
        faulty=f"by row: {by_row} of {len(labels)}",
        quiet=by_group == 0,
        caught=by_row > 0,
    )


def _moved(examples: judge.Examples) -> judge.Examples:
    """Give each row's labels and groups to the row half the table away."""
    half = len(examples) // 2
    order = np.roll(np.arange(len(examples)), half)
    return judge.Examples(
        ids=tuple(examples.ids[row] for row in order),
        contigs=tuple(examples.contigs[row] for row in order),
        groups=examples.groups,
        labels=examples.labels,
    )
