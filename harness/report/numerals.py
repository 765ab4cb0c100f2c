"""Figures as text: one way to round each kind, on every page, table and picture."""

from __future__ import annotations

from harness.evidence import Decision, Estimate, NonInferiority

NOT_MEASURED = "not measured"
UNDEFINED = "undefined"
NO_INTERVAL = "no interval"

SIGNS = {
    Decision.PASS: "✓",
    Decision.FAIL: "✗",
    Decision.INCONCLUSIVE: "?",
    Decision.NOT_MEASURED: "–",
}
"""What says a decision beside its colour, for whoever does not see the colour."""


def plain(value: float | None) -> str:
    """Return a figure of any size: whole if it is whole, else with about three digits.

    Examples
    --------
    >>> plain(192.0), plain(45569.87), plain(13.25), plain(0.7567), plain(None)
    ('192', '45,570', '13.2', '0.757', 'not measured')
    """
    if value is None:
        return NOT_MEASURED
    magnitude = abs(value)
    if value == int(value) and magnitude < 1e6:
        return f"{int(value):,}"
    return (
        f"{value:,.0f}"
        if magnitude >= 1000
        else f"{value:.1f}"
        if magnitude >= 10
        else f"{value:.3f}"
    )


def exact(value: float | None) -> str:
    """Return a figure with six digits, whatever its size.

    Examples
    --------
    >>> exact(1.4075422e-07), exact(192), exact(-0.05), exact(None)
    ('1.40754e-07', '192', '-0.05', '')
    """
    return "" if value is None else f"{value:.6g}"


def count(value: float | None) -> str:
    """Return a number of things; a mean of such numbers has one decimal place.

    Examples
    --------
    >>> count(1001), count(90.5), count(None)
    ('1,001', '90.5', 'not measured')
    """
    if value is None:
        return NOT_MEASURED
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"


def rate(value: float | None) -> str:
    """Return a rate between 0 and 1 with three decimal places."""
    return UNDEFINED if value is None else f"{value:.3f}"


def signed(value: float | None) -> str:
    """Return a difference of rates with its sign."""
    return UNDEFINED if value is None else f"{value:+.3f}"


def mebibytes(value: int | None) -> str:
    """Return a number of bytes in MiB.

    Examples
    --------
    >>> mebibytes(400 * 2**20), mebibytes(None)
    ('400', 'not measured')
    """
    return plain(None if value is None else value / 2**20)


def times(value: float) -> str:
    """Return a ratio."""
    return f"{value:.2f}×"


def times_within(ratio: float, lower: float, upper: float) -> str:
    """Return a ratio and its interval."""
    return f"{times(ratio)} [{lower:.2f}, {upper:.2f}]"


def within(lower: float | None, upper: float | None) -> str:
    """Return the interval of a difference of rates.

    Examples
    --------
    >>> within(-0.0409, 0.0114), within(None, None)
    ('[-0.041, +0.011]', 'no interval')
    """
    if lower is None or upper is None:
        return NO_INTERVAL
    return f"[{lower:+.3f}, {upper:+.3f}]"


def difference(paired: NonInferiority) -> str:
    """Return the difference of an endpoint and its interval."""
    return f"{signed(paired.difference)} {within(paired.lower, paired.upper)}"


def estimate(found: Estimate, *, sign: bool = False) -> str:
    """Return a figure and its interval, of rates or (``sign``) of differences of rates."""
    if found.value is None:
        return UNDEFINED
    shape = "+.3f" if sign else ".3f"
    if found.lower is None or found.upper is None:
        return f"{found.value:{shape}} {NO_INTERVAL}"
    return f"{found.value:{shape}} [{found.lower:{shape}}, {found.upper:{shape}}]"


def per_cent(part: float) -> str:
    """Return a part of 1 in per cent, whole where it is whole.

    Examples
    --------
    >>> per_cent(0.95), per_cent(0.975), per_cent(0.9)
    ('95%', '97.5%', '90%')
    """
    return f"{100 * part:.4g}%"


def decided(decision: Decision) -> str:
    """Return a decision with its sign."""
    return f"{SIGNS[decision]} {decision.value}"
