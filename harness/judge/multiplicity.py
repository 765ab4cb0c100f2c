"""Several candidates for one place: at which level each is judged, so that few bad ones pass."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum

import numpy as np

from embedders.errors import InputError
from harness.costs import Speedup
from harness.evidence import Decision
from harness.judge.gate import SPEEDUP, endpoint_name
from harness.results import Comparison


class Multiplicity(StrEnum):
    """How the chance that any of several candidates passes wrongly is kept at one level alpha.

    ``holm``: everyone at alpha / m; those that pass leave, and the others are judged anew at alpha
    over as many as they are. ``bonferroni``: everyone at alpha / m, once. ``fixed-sequence``: one
    after the other at alpha, in an order written down beforehand, until one does not pass.
    """

    HOLM = "holm"
    BONFERRONI = "bonferroni"
    FIXED_SEQUENCE = "fixed-sequence"


def shares_of_alpha(
    p_values: Sequence[float], *, alpha: float, method: Multiplicity
) -> tuple[float | None, ...]:
    """Return the one-sided level at which each of m candidates is judged; it passes below it.

    The chance that at least one candidate passes whose hypothesis is true is at most ``alpha``,
    however the p-values depend on each other, and so is the chance that the one that is named
    afterwards by whatever rule is such a one.

    Parameters
    ----------
    p_values
        One for each candidate, each at least as large under its hypothesis as a uniform one.
    alpha
        For all of them together.
    method
        Of ``fixed-sequence``, the order is that of ``p_values``.

    Returns
    -------
    tuple[float | None, ...]
        None for a candidate that is not judged, because one before it did not pass.

    Raises
    ------
    InputError
        If there is no candidate.

    References
    ----------
    Holm 1979, Scandinavian Journal of Statistics 6:65. Fixed sequence: Maurer, Hothorn and
    Lehmacher 1995, Biometrie in der chemisch-pharmazeutischen Industrie 6:3.

    Examples
    --------
    >>> shares_of_alpha([0.004, 0.015, 0.3], alpha=0.03, method=Multiplicity.HOLM)
    (0.01, 0.015, 0.015)
    >>> shares_of_alpha([0.02, 0.3, 0.004], alpha=0.03, method=Multiplicity.FIXED_SEQUENCE)
    (0.03, 0.03, None)
    """
    if not p_values:
        raise InputError("there is no candidate to judge")
    count = len(p_values)
    if method is Multiplicity.BONFERRONI:
        return (alpha / count,) * count
    if method is Multiplicity.FIXED_SEQUENCE:
        passed = [p < alpha for p in p_values]
        return tuple(alpha if all(passed[:place]) else None for place in range(count))
    found: dict[int, float] = {}
    while len(found) < count:
        level = alpha / (count - len(found))
        left = [place for place in range(count) if place not in found]
        passing = [place for place in left if p_values[place] < level]
        # where nobody passes any more, those left keep the level at which they did not
        found |= dict.fromkeys(passing or left, level)
    return tuple(found[place] for place in range(count))


def adjusted_p_values(p_values: Sequence[float], method: Multiplicity) -> tuple[float, ...]:
    """Return for each candidate the smallest alpha, for all of them together, at which it passes.

    References
    ----------
    Wright 1992, Biometrics 48:1005.

    Examples
    --------
    >>> adjusted_p_values([0.01, 0.02, 0.3], Multiplicity.HOLM)
    (0.03, 0.04, 0.3)
    """
    count = len(p_values)
    if method is Multiplicity.BONFERRONI:
        return tuple(min(1.0, count * p) for p in p_values)
    order = list(range(count))
    weights = [1] * count
    if method is Multiplicity.HOLM:
        order.sort(key=p_values.__getitem__)
        weights = list(range(count, 0, -1))
    found: dict[int, float] = {}
    highest = 0.0
    for place, weight in zip(order, weights, strict=True):
        highest = max(highest, min(1.0, weight * p_values[place]))
        found[place] = highest
    return tuple(found[place] for place in range(count))


def gate_p_values(
    run: Comparison, endpoints: Mapping[str, Mapping[tuple[str, str], float]]
) -> dict[str, float]:
    """Return the p-value of each required gate of a run, by its name: it passes at any level above.

    A candidate passes if all of them do, so that the largest is the candidate's own p-value
    (Berger 1982: an intersection-union test). A gate without an interval has none: 0 where it
    passed, 1 where it did not.

    Parameters
    ----------
    run
        With its gates.
    endpoints
        :func:`harness.judge.endpoint_p_values` of each data set.
    """
    named = {
        endpoint_name(dataset, endpoint, level): p
        for dataset, found in endpoints.items()
        for (level, endpoint), p in found.items()
    }
    limit = run.spec.gates.speedup_at_least
    if run.speedup is not None and limit is not None:
        named[SPEEDUP] = speedup_p_value(run.speedup, limit)
    return {
        gate.name: named.get(gate.name, 0.0 if gate.decision is Decision.PASS else 1.0)
        for gate in run.gates
        if gate.required
    }


def speedup_p_value(speedup: Speedup, limit: float) -> float:
    """Return the smallest one-sided level whose interval of a speed-up does not go below ``limit``.

    Student's t on the logarithms of the paired ratios, as the interval itself.

    Examples
    --------
    >>> paired = Speedup((2.0, 2.2, 2.1), (1.0, 1.0, 1.0), 2.1, 1.86, 2.36, 0.95)
    >>> round(speedup_p_value(paired, 2.0), 3)
    0.111
    """
    from scipy import stats  # noqa: PLC0415 - slow to import, needed once a run

    pairs = zip(speedup.baseline_s, speedup.candidate_s, strict=True)
    logs = np.log([before / after for before, after in pairs])
    gap = float(logs.mean()) - math.log(limit)
    error = float(logs.std(ddof=1) / math.sqrt(len(logs)))
    if not error:
        return 0.0 if gap >= 0 else 1.0
    return float(stats.t.sf(gap / error, df=len(logs) - 1))
