"""What each half of the features is worth: DNA only, protein only, merged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from statistics import fmean

from harness.evidence import Modality
from harness.judge.evaluation import levels
from harness.judge.metrics import DEFAULT_THRESHOLD, score
from harness.judge.pairing import paired_endpoints
from harness.judge.predictions import Predictions
from harness.results import find
from harness.spec import Gates

RATE_OF = {"sensitivity": "recall", "specificity": "specificity"}


def modalities(
    parts: Mapping[str, tuple[Predictions, Predictions]], *, dataset: str, gates: Gates
) -> tuple[Modality, ...]:
    """Compare both arms on each part of the features.

    Parameters
    ----------
    parts
        Name of the part → predictions of baseline and candidate from that part alone, on the same
        rows, folds and seeds. Where both are one object the part is the same for both arms, and
        nothing is paired.
    dataset, gates
        Whose predictions, and the margins.

    Raises
    ------
    InputError
        If the predictions of a part are no pairs.
    """
    found = []
    for name, (baseline, candidate) in parts.items():
        same = baseline is candidate
        pairs = () if same else paired_endpoints(baseline, candidate, dataset=dataset, gates=gates)
        for level in (each.name for each in levels(baseline)):
            for endpoint in RATE_OF:
                record = find(pairs, level=level, endpoint=endpoint)
                found.append(
                    Modality(
                        dataset=dataset,
                        level=level,
                        modality=name,
                        endpoint=endpoint,
                        seeds=len(baseline.seeds),
                        baseline=_rate(baseline, level, endpoint),
                        candidate=_rate(candidate, level, endpoint),
                        paired=None if record is None else record.paired,
                    )
                )
    return tuple(found)


def of_first_seeds(predictions: Predictions, count: int) -> Predictions:
    """Return the predictions of the first ``count`` seeds alone."""
    return replace(
        predictions,
        seeds=predictions.seeds[:count],
        folds=predictions.folds[:count],
        probabilities=predictions.probabilities[:count],
    )


def _rate(predictions: Predictions, level: str, endpoint: str) -> float | None:
    """Return the mean over seeds, or None where the class is missing."""
    judged = next(each for each in levels(predictions) if each.name == level)
    rates = [
        getattr(score(judged.labels, each, DEFAULT_THRESHOLD), RATE_OF[endpoint])
        for each in judged.probabilities
    ]
    known = [rate for rate in rates if rate is not None]
    return fmean(known) if known and len(known) == len(rates) else None
