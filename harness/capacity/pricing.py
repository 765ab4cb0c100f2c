"""What device time turns into: days on many devices, energy and money."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from embedders import InputError

HOUR_S = 3600.0
KWH_J = 3.6e6

_PRICE = re.compile(
    r"\s*((?:[0-9][0-9_,]*\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*([^0-9.,+\s].*)?"
)


@dataclass(frozen=True, slots=True)
class Price:
    """Money for one device during one hour; the currency is text, and nothing is converted."""

    per_hour: float
    currency: str

    def __post_init__(self) -> None:
        _above_zero("the price of an hour", self.per_hour)

    @classmethod
    def read(cls, text: str) -> Price:
        """Read a number and, behind it, a currency.

        Raises
        ------
        InputError
            If there is no number above 0 at its start.

        Examples
        --------
        >>> Price.read("2.50 EUR")
        Price(per_hour=2.5, currency='EUR')
        """
        found = _PRICE.fullmatch(text)
        if found is None:
            raise InputError(f"{text!r} is no price of a device-hour, such as '2.50 EUR'")
        number = found.group(1).replace(",", "").replace("_", "")
        return cls(float(number), (found.group(2) or "").strip())


@dataclass(frozen=True, slots=True)
class Fleet:
    """How many devices work side by side, and what is known of each.

    ``efficiency`` is the part of a device's own speed that it keeps among the others; 1 is linear
    scaling. ``watts`` is what one device draws while it works.
    """

    devices: int = 1
    efficiency: float = 1.0
    price: Price | None = None
    watts: float | None = None

    def __post_init__(self) -> None:
        if self.devices < 1:
            raise InputError(f"there must be at least one device, not {self.devices}")
        if not 0 < self.efficiency <= 1:
            raise InputError(
                f"scaling efficiency lies above 0 and is at most 1, not {self.efficiency}"
            )
        if self.watts is not None:
            _above_zero("the power of a device in watts", self.watts)

    @property
    def kept(self) -> float:
        """The part of its speed that each device keeps; a single one keeps all of it."""
        return self.efficiency if self.devices > 1 else 1.0


def _above_zero(name: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise InputError(f"{name} must be a number above 0, not {value}")
