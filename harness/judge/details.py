"""Everything that is reported of both arms beside the primary endpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from embedders.errors import InputError
from harness.evidence import Detail
from harness.judge.agreement import agreement, disagreements
from harness.judge.calibration import calibration
from harness.judge.curves import curves
from harness.judge.evaluation import Level, levels
from harness.judge.operating import operating_points
from harness.judge.pairing import aligned
from harness.judge.predictions import Predictions
from harness.judge.resampling import CONFIDENCE, secondary
from harness.judge.stratification import of_contigs, stratified
from harness.spec import ArmName, Gates


def details(
    baseline: Predictions,
    candidate: Predictions,
    strata: Mapping[str, Sequence[str]],
    *,
    dataset: str,
    gates: Gates,
    seed: int = 0,
    resamples: int = 1000,
) -> tuple[Detail, ...]:
    """Return what is known of both arms beside the endpoints, at the levels of :func:`summarise`.

    Parameters
    ----------
    baseline, candidate
        Predictions of the same rows, in any order.
    strata
        Kind (``length``, ``frame``, ``group``, …) to the value of each row, in the order of
        ``baseline.examples``; the empty text says that a row has none. At level ``contig``,
        ``frame`` and ``length`` are left out, and of other kinds a contig keeps the value that all
        its frames share.
    dataset
        Whose they are, for the record and for errors.
    gates
        The margin of each endpoint, for the strata.
    seed
        Of the bootstrap.
    resamples
        Of the bootstrap, at least 1. The records hold how many of them had both classes, and so
        are behind the intervals.

    Raises
    ------
    InputError
        If rows, labels, groups, contigs, seeds or folds of the arms differ, a kind of strata
        has not one value per row, or ``resamples`` is below 1.
    """
    other = aligned(baseline, candidate, dataset)
    examples = baseline.examples
    for by, values in strata.items():
        if len(values) != len(examples):
            raise InputError(
                f"{dataset}: {len(values)} values of {by!r} for {len(examples)} rows; give one per "
                f"row, in the order of the baseline's predictions"
            )
    named = {
        "chunk": (examples.ids, strata),
        "contig": (tuple(dict.fromkeys(examples.contigs)), of_contigs(examples.contigs, strata)),
    }
    return tuple(
        _detail(before, after, *named[before.name], dataset, gates, seed, resamples)
        for before, after in zip(levels(baseline), levels(other), strict=True)
    )


def _detail(
    before: Level,
    after: Level,
    names: Sequence[str],
    strata: Mapping[str, Sequence[str]],
    dataset: str,
    gates: Gates,
    seed: int,
    resamples: int,
) -> Detail:
    metrics, used = secondary(before, after, resamples=resamples, seed=seed)
    arms = {ArmName.BASELINE: before, ArmName.CANDIDATE: after}
    return Detail(
        dataset=dataset,
        level=before.name,
        resamples=used,
        confidence=CONFIDENCE,
        secondary=metrics,
        calibration=tuple(calibration(level, arm=arm) for arm, level in arms.items()),
        operating_points=operating_points(before, after),
        curves=tuple(curve for arm, level in arms.items() for curve in curves(level, arm=arm)),
        strata=stratified(before, after, strata, gates=gates),
        agreement=agreement(before, after),
        disagreements=disagreements(before, after, names),
    )
