"""From timed work to seconds of other work: two rates of the device, and how sure they are.

``seconds = linear FLOPs / rate + attention FLOPs / rate + start · starts``. Each observation counts
by its relative error, so that short runs say as much as long ones. What the observations do not
tell apart is not fitted: work of one mix of lengths gives one rate for all FLOPs; and where cold
runs are too alike to tell what starting took, they are left aside.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embedders import InputError
from harness.capacity.estimates import CONFIDENCE, Estimate
from harness.capacity.work import Work

UNLIKE = 1.5
"""Mixes of lengths are told apart if attention's share of FLOPs differs by this factor."""

DEAREST = 8.0
"""At most so many times as long as in linear layers may a FLOP take in attention.

The dearest that was seen is 6.4: PyTorch's attention at heads 16 wide, 15% of the FLOPs and 53% of
the time (docs/performance.md).
"""
LARGER = 3.0
"""What starting takes is told apart if one cold run is so many times another."""

TWO_RATES = ("linear", "attention")
ONE_RATE = ("all",)
START = "start"


@dataclass(frozen=True, slots=True)
class Observation:
    """Work that was timed; ``what`` names it: a round, an extraction, a whole command."""

    what: str
    work: Work
    seconds: float

    def __post_init__(self) -> None:
        if not 0 < self.seconds < math.inf or self.work.flops <= 0:
            raise InputError(f"{self.what}: work and seconds must be above zero: {self}")


@dataclass(frozen=True, slots=True)
class Fit:
    """Seconds per unit of each term, and what is known of their error.

    ``inverse`` is ``(X'X)⁻¹`` of the relative design, ``spread`` the standard deviation of relative
    residuals on ``degrees`` of freedom; None where nothing is left over to tell it.
    ``shares`` is the range of attention over linear FLOPs that was observed.
    """

    terms: tuple[str, ...]
    seconds: tuple[float, ...]
    inverse: tuple[tuple[float, ...], ...]
    spread: float | None
    degrees: int
    observations: int
    shares: tuple[float, float]

    def predict(self, work: Work) -> Estimate:
        """Return the seconds of one more run of such work, on a machine as steady as observed.

        The interval is that of a new observation (Student's t): relative residuals of the fit, and
        what the fitted rates themselves may be off. Where one rate stands for both parts, it also
        spans what a FLOP in attention may take: from nothing to ``DEAREST`` times that in linear
        layers. At the lengths that were timed this changes nothing.
        """
        row = np.array([_amount(term, work) for term in self.terms])
        value = float(row @ np.array(self.seconds))
        if self.spread is None:
            return Estimate(value)
        from scipy import stats  # noqa: PLC0415 - slow to import, needed once a run

        relative = row / value
        leverage = float(relative @ np.array(self.inverse) @ relative)
        quantile = float(stats.t.ppf((1 + CONFIDENCE) / 2, df=self.degrees))
        reach = quantile * self.spread * math.sqrt(1 + leverage)
        less, more = self._doubt(work)
        return Estimate(value, value * less * math.exp(-reach), value * more * math.exp(reach))

    def extrapolates(self, work: Work) -> bool:
        """Tell whether work is of clearly shorter or longer sequences than any that was timed."""
        low, high = self.shares
        return not low / UNLIKE <= _share(work) <= high * UNLIKE

    def _doubt(self, work: Work) -> tuple[float, float]:
        """Return the factors that not knowing the two rates apart allows for."""
        if set(TWO_RATES) <= set(self.terms):
            return 1.0, 1.0

        def seconds_per_token(dearness: float, share: float) -> float:
            return (1 + dearness * share) / (1 + share)

        factors = [
            seconds_per_token(dearness, _share(work)) / seconds_per_token(dearness, share)
            for dearness in (0.0, DEAREST)
            for share in self.shares
        ]
        return min(1.0, *factors), max(1.0, *factors)


def fit(observations: Sequence[Observation]) -> Fit:
    """Fit as many rates as the observations tell apart, by non-negative least squares.

    Raises
    ------
    InputError
        If there is no observation.
    """
    if not observations:
        raise InputError("nothing was timed, so nothing can be projected from it")
    used, extra = _starting(observations)
    shares = [_share(each.work) for each in used]
    span = min(shares), max(shares)
    if span[1] >= UNLIKE * span[0] and len(used) > len(TWO_RATES + extra):
        found = _solve(used, TWO_RATES + extra)
        if min(found[: len(TWO_RATES)]) > 0:  # no rate is without end
            return _fitted(used, TWO_RATES + extra, found, span)
    return _fitted(used, ONE_RATE + extra, _solve(used, ONE_RATE + extra), span)


def _starting(observations: Sequence[Observation]) -> tuple[Sequence[Observation], tuple[str, ...]]:
    """Return the observations that can be used, and the term of starting if it is told apart."""
    cold = [each.work.flops for each in observations if each.work.starts]
    if len(cold) > 1 and max(cold) >= LARGER * min(cold):
        return observations, (START,)
    warm = [each for each in observations if not each.work.starts]
    return warm or observations, ()


def _share(work: Work) -> float:
    """Return attention's FLOPs over those of linear layers: it grows with the length."""
    return work.attention_flops / work.linear_flops


def _amount(term: str, work: Work) -> float:
    amounts = {
        "linear": work.linear_flops,
        "attention": work.attention_flops,
        "all": work.flops,
        START: float(work.starts),
    }
    return amounts[term]


def _design(observations: Sequence[Observation], terms: Sequence[str]) -> NDArray[np.float64]:
    """Return one row per observation: the amount of each term over the seconds, ``(n, p)``."""
    return np.array(
        [[_amount(term, each.work) / each.seconds for term in terms] for each in observations]
    )


def _solve(observations: Sequence[Observation], terms: Sequence[str]) -> list[float]:
    from scipy.optimize import nnls  # noqa: PLC0415 - slow to import, needed once a run

    design = _design(observations, terms)
    scale = design.max(axis=0)
    found = nnls(design / scale, np.ones(len(observations)))[0] / scale
    return [float(each) for each in found]


def _fitted(
    observations: Sequence[Observation],
    terms: Sequence[str],
    found: Sequence[float],
    shares: tuple[float, float],
) -> Fit:
    kept = [place for place, value in enumerate(found) if value > 0]
    names = tuple(terms[place] for place in kept)
    seconds = np.array([found[place] for place in kept])
    design = _design(observations, names)
    residuals = 1 - design @ seconds
    degrees = len(observations) - len(names)
    spread = math.sqrt(float(residuals @ residuals) / degrees) if degrees > 0 else None
    return Fit(
        terms=names,
        seconds=tuple(map(float, seconds)),
        inverse=tuple(tuple(map(float, row)) for row in np.linalg.pinv(design.T @ design)),
        spread=spread,
        degrees=degrees,
        observations=len(observations),
        shares=shares,
    )
