"""Has the candidate got worse since an earlier run of the same migration?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from embedders.errors import InputError
from harness.evidence import Classification, Decision, Endpoint, NonInferiority
from harness.judge.gate import ENDPOINTS, FEWEST_CLUSTERS
from harness.judge.pairing import paired_endpoints
from harness.judge.predictions import Predictions
from harness.judge.running_costs import TOLERANCE, cost_gates
from harness.judge.stored import stored_predictions
from harness.results import Comparison, Gate, ParityCheck, find
from harness.spec import ArmName

WIDTH = "candidate: protein width"
PARITY = "candidate: parity"


def regression_gates(
    current: Comparison,
    earlier: Comparison,
    *,
    predictions: tuple[Path, Path] | None = None,
    tolerance: float = TOLERANCE,
) -> list[Gate]:
    """Compare the candidate of one run with the candidate of an earlier one.

    Each gate is named after what it is about, and its reason reads ``earlier → current``. What was
    not measured in both runs is never a pass.

    Rates are compared in pairs of rows where both runs stored predictions of the same rows, folds
    and seeds, and the interval decides (:func:`harness.judge.noninferiority`). Otherwise the
    difference of the means can fail a run, but not pass it. Predictions that are the same, byte
    for byte, pass: nothing has changed. Throughput and memory: see :func:`cost_gates`. Widths and
    parity fail where they fail now and did not before.

    Parameters
    ----------
    current, earlier
        Two runs of one migration, between which the candidate may have changed.
    predictions
        Folders of ``current`` and of ``earlier``; None: nothing can be paired.
    tolerance
        So much of the throughput may be lost, in parts of 1.

    Raises
    ------
    InputError
        If the runs answer different questions (other data, folds, groups, recipe or limits), or a
        file of predictions is not the one that its run wrote.
    """
    _refuse_unlike(current, earlier)
    return [
        *_kept_gates(current, earlier),
        *_rate_gates(current, earlier, predictions),
        *cost_gates(current, earlier, tolerance=tolerance),
    ]


def _refuse_unlike(current: Comparison, earlier: Comparison) -> None:
    sides = (current, earlier)
    # The first input is the migration file: its comments may differ, what it says is below.
    for what, values in (
        ("data files", [[hashed for _, hashed in s.provenance.inputs[1:]] for s in sides]),
        ("data sets", [[dataset.name for dataset in side.spec.datasets] for side in sides]),
        ("training recipes", [side.spec.classification.recipe for side in sides]),
        ("numbers of folds", [side.spec.classification.folds for side in sides]),
        ("rules of grouping", [side.spec.splits for side in sides]),
        ("truncations", [side.spec.embedding.truncation for side in sides]),
        ("limits", [side.spec.gates for side in sides]),
        ("DNA halves", [side.spec.dna for side in sides]),
    ):
        if values[0] != values[1]:
            raise InputError(
                f"{current.run} and {earlier.run} cannot be compared: their {what} differ; "
                "run the same migration again on the same data"
            )


@dataclass(frozen=True, slots=True)
class _Pairing:
    """Both candidates on one data set: compared in pairs, the same, or why neither."""

    endpoints: tuple[Endpoint, ...] = ()
    same: bool = False
    unpaired: str = ""


def _rate_gates(
    current: Comparison, earlier: Comparison, folders: tuple[Path, Path] | None
) -> Iterator[Gate]:
    for dataset in current.spec.datasets:
        name = dataset.name
        before, after = (_of_candidate(run, name) for run in (earlier, current))
        pairing = _Pairing()
        if before and after:
            stored = next(iter(before.values())), next(iter(after.values()))
            pairing = _pair(*stored, current, earlier, folders)
        for level in dict.fromkeys((*before, *after)) or ("chunk",):
            for endpoint, metric in ENDPOINTS:
                values = [
                    results[level].mean[metric] if level in results else None
                    for results in (before, after)
                ]
                margin: float = getattr(current.spec.gates, f"{endpoint}_margin")
                record = find(pairing.endpoints, level=level, endpoint=endpoint)
                yield _rate_gate(f"{name}: {endpoint} per {level}", values, margin, pairing, record)


def _of_candidate(run: Comparison, dataset: str) -> dict[str, Classification]:
    """Return the candidate's results on a data set, by level."""
    return {
        each.level: each
        for each in run.classification
        if each.dataset == dataset and each.arm == ArmName.CANDIDATE
    }


def _pair(
    before: Classification,
    after: Classification,
    current: Comparison,
    earlier: Comparison,
    folders: tuple[Path, Path] | None,
) -> _Pairing:
    same = before.predictions_sha256 == after.predictions_sha256
    if folders is None:
        return _Pairing(same=same, unpaired="predictions are not at hand")
    now, was = (
        stored_predictions(folder, record)
        for folder, record in zip(folders, (after, before), strict=True)
    )
    if was is None or now is None:
        run, record = (earlier, before) if was is None else (current, after)
        return _Pairing(same=same, unpaired=f"{run.run} has no {record.predictions} any more")
    unlike = _unlike(was, now)
    if unlike:
        return _Pairing(unpaired=f"the runs differ in their {unlike}")
    endpoints = paired_endpoints(was, now, dataset=before.dataset, gates=current.spec.gates)
    return _Pairing(endpoints=endpoints, same=same)


def _unlike(was: Predictions, now: Predictions) -> str:
    """Name what keeps the rows of two runs from being pairs; empty if nothing does."""
    if was.seeds != now.seeds:
        return "seeds"
    if set(was.examples.ids) != set(now.examples.ids):
        return "rows"
    place = {name: row for row, name in enumerate(now.examples.ids)}
    order = np.array([place[name] for name in was.examples.ids])
    for what in ("groups", "contigs"):
        if list(getattr(was.examples, what)) != [getattr(now.examples, what)[row] for row in order]:
            return what
    if not np.array_equal(was.examples.labels, now.examples.labels[order]):
        return "labels"
    return "" if np.array_equal(was.folds, now.folds[:, order]) else "folds"


def _rate_gate(
    name: str,
    values: list[float | None],
    margin: float,
    pairing: _Pairing,
    record: Endpoint | None,
) -> Gate:
    before, after = values
    if before is None or after is None:
        return _gate(name, Decision.NOT_MEASURED, "not measured in both runs", limit=-margin)
    lost = f"at most {margin:.3f} may be lost"
    found = f"{before:.3f} → {after:.3f}"
    paired = None if record is None else record.paired
    if pairing.same and before == after:
        return _gate(
            name,
            Decision.PASS,
            f"{found}: the same predictions, byte for byte; {lost}",
            limit=-margin,
            value=0.0,
            paired=paired,
        )
    if paired is None or paired.difference is None:
        change = after - before
        return _gate(
            name,
            Decision.FAIL if change < -margin else Decision.INCONCLUSIVE,
            f"{found}, {change:+.3f}, unpaired, since {pairing.unpaired or 'no row has a pair'}; "
            f"{lost}, and a difference without pairs can fail but not pass",
            limit=-margin,
            value=change,
        )
    return _gate(
        name,
        Decision.INCONCLUSIVE if paired.clusters < FEWEST_CLUSTERS else paired.decision,
        f"{found}, {_interval(paired)}, in pairs of {paired.rows:,} rows; {lost}",
        limit=-margin,
        value=paired.difference,
        paired=paired,
    )


def _interval(paired: NonInferiority) -> str:
    found = f"{paired.difference:+.3f}"
    if paired.lower is not None and paired.upper is not None:
        found += f" [{paired.lower:+.3f}, {paired.upper:+.3f}]"
    found += f" over {paired.clusters} groups"
    if paired.clusters < FEWEST_CLUSTERS:
        return f"{found} (at least {FEWEST_CLUSTERS} are needed)"
    if paired.clusters_needed is not None:
        return f"{found} (some {paired.clusters_needed:,} would decide it)"
    return found


def _kept_gates(current: Comparison, earlier: Comparison) -> Iterator[Gate]:
    """Ask whether the checks that the candidate passed before are passed now.

    Runs without any parity check have no gate for it: there is nothing to keep.
    """
    rows = [find(r.widths, arm=ArmName.CANDIDATE, source="data") for r in (earlier, current)]
    before, after = rows
    if before is None or after is None:
        yield _gate(WIDTH, Decision.NOT_MEASURED, "not measured in both runs")
    else:
        asked = "no expectation stated" if after.expected is None else f"{after.expected} expected"
        misfits = [
            {"width"} if each.expected not in (None, each.protein) else set()
            for each in rows
            if each
        ]
        yield _gate(
            WIDTH,
            _kept(*misfits),
            f"{before.protein} → {after.protein}, {asked}",
            limit=after.expected,
            value=after.protein,
        )
    was, now = (_checks(run) for run in (earlier, current))
    if not was and not now:
        return
    if len(now) < len(was):
        reason = f"{len(was)} check(s) before and {len(now)} now: not measured in both runs"
        yield _gate(PARITY, Decision.NOT_MEASURED, reason)
    else:
        failing = [{each.check for each in checks if not each.passed} for checks in (was, now)]
        told = ", ".join(sorted(failing[1])) or "none"
        reason = f"{len(was)} → {len(now)} checks; failing now: {told}"
        yield _gate(PARITY, _kept(*failing), reason)


def _checks(run: Comparison) -> list[ParityCheck]:
    """Return the checks that the candidate has a part in."""
    return [check for check in run.parity if check.arm != ArmName.BASELINE]


def _kept(before: set[str], after: set[str]) -> Decision:
    """Decide by what failed in each run; what fails in both is no regression, and no pass."""
    if after - before:
        return Decision.FAIL
    return Decision.INCONCLUSIVE if after else Decision.PASS


def _gate(
    name: str,
    decision: Decision,
    reason: str,
    *,
    limit: float | None = None,
    value: float | None = None,
    paired: NonInferiority | None = None,
) -> Gate:
    lower, upper = (None, None) if paired is None else (paired.lower, paired.upper)
    return Gate(name, limit, value, lower, upper, decision, reason)
