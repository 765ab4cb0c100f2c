"""Bytes in words."""

from __future__ import annotations

MIB = 1 << 20
GIB = 1 << 30


def size(count: int) -> str:
    """Write a number of bytes in the unit that suits it.

    Examples
    --------
    >>> size(11_329_771_520), size(450_720 * 4)
    ('10.6 GiB', '1.7 MiB')
    """
    return f"{count / GIB:.1f} GiB" if count >= GIB / 10 else f"{count / MIB:.1f} MiB"
