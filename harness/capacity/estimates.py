"""A projected figure, and the interval that its measurements allow."""

from __future__ import annotations

import math
from dataclasses import dataclass

from embedders import InputError

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure above zero with its 95% interval; without one where nothing was measured twice."""

    value: float
    lower: float | None = None
    upper: float | None = None

    def __post_init__(self) -> None:
        known = [each for each in (self.lower, self.value, self.upper) if each is not None]
        if not all(0 < each < math.inf for each in known) or known != sorted(known):
            raise InputError(f"a projected figure lies above zero, in its interval: {self}")

    def times(self, factor: float) -> Estimate:
        """Return the figure in another unit, or at a rate: the interval goes along.

        Examples
        --------
        >>> Estimate(2.0, 1.0, 4.0).times(0.5)
        Estimate(value=1.0, lower=0.5, upper=2.0)
        """
        return Estimate(
            self.value * factor,
            None if self.lower is None else self.lower * factor,
            None if self.upper is None else self.upper * factor,
        )

    def over(self, other: Estimate) -> Estimate:
        """Return this figure over another whose error has nothing to do with this one's.

        Errors are taken as relative: the half-widths of the logarithms add in squares.
        """
        value = self.value / other.value
        if not (self.lower and self.upper and other.lower and other.upper):
            return Estimate(value)
        down = math.hypot(math.log(self.value / self.lower), math.log(other.upper / other.value))
        up = math.hypot(math.log(self.upper / self.value), math.log(other.value / other.lower))
        return Estimate(value, value * math.exp(-down), value * math.exp(up))
