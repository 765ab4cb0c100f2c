"""What each half of the features is worth: DNA only, protein only, merged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from harness.evidence import Modality
from harness.judge.evaluation import summarise
from harness.judge.gate import ENDPOINTS
from harness.judge.pairing import paired_endpoints
from harness.judge.predictions import Predictions
from harness.results import find
from harness.spec import Gates


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
        before = _rates(baseline)
        after = before if same else _rates(candidate)
        for level, rates in before.items():
            for endpoint, metric in ENDPOINTS:
                record = find(pairs, level=level, endpoint=endpoint)
                found.append(
                    Modality(
                        dataset=dataset,
                        level=level,
                        modality=name,
                        endpoint=endpoint,
                        seeds=len(baseline.seeds),
                        baseline=rates[metric],
                        candidate=after[level][metric],
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


def _rates(predictions: Predictions) -> dict[str, dict[str, float | None]]:
    """Return the mean over seeds of each rate, by level."""
    scored = summarise(predictions, arm="", dataset="", file="", sha256="")
    return {each.level: each.mean for each in scored}
