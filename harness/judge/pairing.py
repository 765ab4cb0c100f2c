"""Both arms' predictions of the same rows, compared endpoint by endpoint."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from embedders.errors import InputError
from harness.evidence import Endpoint
from harness.judge.evaluation import Level, levels
from harness.judge.metrics import DEFAULT_THRESHOLD
from harness.judge.noninferiority import noninferiority, p_value
from harness.judge.predictions import Examples, Predictions
from harness.spec import Gates

CLASS_OF = {"sensitivity": 1, "specificity": 0}
"""The label whose rows each primary endpoint is about."""

LISTED_IDS = 5
"""At most so many ids are spelt out in an error."""


def paired_endpoints(
    baseline: Predictions,
    candidate: Predictions,
    *,
    dataset: str,
    gates: Gates,
    threshold: float = DEFAULT_THRESHOLD,
) -> tuple[Endpoint, ...]:
    """Compare the arms on each endpoint, at the levels that :func:`summarise` gives rates for.

    Parameters
    ----------
    baseline, candidate
        Predictions of the same rows, in any order.
    dataset
        Whose they are, for the record and for errors.
    gates
        The margin of each endpoint, and the level of the interval.
    threshold
        Called viral at this probability and above.

    Raises
    ------
    InputError
        If rows, labels, groups, contigs, seeds or folds of the arms differ.
    """
    other = aligned(baseline, candidate, dataset)
    return tuple(
        _endpoint(before, after, dataset, endpoint, gates, threshold)
        for before, after in zip(levels(baseline), levels(other), strict=True)
        for endpoint in CLASS_OF
    )


def endpoint_p_values(
    baseline: Predictions, candidate: Predictions, *, dataset: str, gates: Gates
) -> dict[tuple[str, str], float]:
    """Return the p-value of each of :func:`paired_endpoints`, by level and endpoint.

    Parameters and errors are those of :func:`paired_endpoints`. An endpoint passes at any one-sided
    level above it. It is never below 2⁻ᴷ with K groups of the class: see
    :func:`harness.judge.noninferiority.fewest_clusters`.
    """
    other = aligned(baseline, candidate, dataset)
    found: dict[tuple[str, str], float] = {}
    for before, after in zip(levels(baseline), levels(other), strict=True):
        for endpoint in CLASS_OF:
            groups = _groups(before, endpoint)
            level = p_value(
                called_right(before, endpoint),
                called_right(after, endpoint),
                groups,
                margin=getattr(gates, f"{endpoint}_margin"),
            )
            found[before.name, endpoint] = max(level, 2.0 ** -len(set(groups)))
    return found


def _endpoint(
    before: Level, after: Level, dataset: str, endpoint: str, gates: Gates, threshold: float
) -> Endpoint:
    paired = noninferiority(
        called_right(before, endpoint, threshold),
        called_right(after, endpoint, threshold),
        _groups(before, endpoint),
        margin=getattr(gates, f"{endpoint}_margin"),
        alpha=gates.alpha,
    )
    return Endpoint(dataset, before.name, endpoint, paired)


def _groups(level: Level, endpoint: str) -> list[str]:
    """Return the group of each row of an endpoint's class."""
    return [level.groups[row] for row in np.flatnonzero(level.labels == CLASS_OF[endpoint])]


def called_right(
    level: Level, endpoint: str, threshold: float = DEFAULT_THRESHOLD
) -> NDArray[np.bool_]:
    """Tell which rows of an endpoint's class are called right; bool ``(seeds, rows of it)``."""
    label = CLASS_OF[endpoint]
    # float64 as in score(), so that both call the same rows viral
    chances = level.probabilities[:, level.labels == label].astype(np.float64)
    return np.asarray((chances >= threshold) == bool(label))


def aligned(baseline: Predictions, candidate: Predictions, dataset: str) -> Predictions:
    """Return the candidate's predictions with their rows in the order of the baseline's.

    Raises
    ------
    InputError
        If rows, labels, groups, contigs, seeds or folds of the arms differ; ``dataset`` is named.
    """
    ours, theirs = baseline.examples, candidate.examples
    _refuse_other_rows(ours, theirs, dataset)
    place = {name: row for row, name in enumerate(theirs.ids)}
    order = np.array([place[name] for name in ours.ids])
    examples = Examples(
        ids=ours.ids,
        contigs=tuple(theirs.contigs[row] for row in order),
        groups=tuple(theirs.groups[row] for row in order),
        labels=theirs.labels[order],
    )
    reordered = replace(
        candidate,
        examples=examples,
        folds=candidate.folds[:, order],
        probabilities=candidate.probabilities[:, order],
    )
    for what, same in (
        ("labels", np.array_equal(ours.labels, examples.labels)),
        ("groups", ours.groups == examples.groups),
        ("contigs", ours.contigs == examples.contigs),
        ("seeds", baseline.seeds == reordered.seeds),
        ("folds", np.array_equal(baseline.folds, reordered.folds)),
    ):
        if not same:
            raise InputError(
                f"{dataset}: the {what} of baseline and candidate differ, so their predictions "
                f"are no pairs; classify both arms anew with the same labels, folds and seeds"
            )
    return reordered


def _refuse_other_rows(ours: Examples, theirs: Examples, dataset: str) -> None:
    for arm, other, lone in (
        ("baseline", "candidate", set(ours.ids) - set(theirs.ids)),
        ("candidate", "baseline", set(theirs.ids) - set(ours.ids)),
    ):
        if lone:
            some = ", ".join(sorted(lone)[:LISTED_IDS])
            raise InputError(
                f"{dataset}: {len(lone)} row(s) of the {arm} have no prediction by the {other}: "
                f"{some}{', …' if len(lone) > LISTED_IDS else ''}; both arms must judge the same "
                f"rows, so leave these records out of the data set"
            )
