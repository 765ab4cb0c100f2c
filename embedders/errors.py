"""Typed errors that a caller can act on; each message names what came and the remedy."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """Bad input or usage: the caller can mend it. The command line exits with 2."""


class UnknownName(InputError):
    """A name that is in no table; the message lists the nearest names.

    Parameters
    ----------
    kind
        What was looked up, e.g. ``"embedder"``.
    name
        What came.
    known
        What would have been accepted.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        near = get_close_matches(name.lower(), names, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}"
        super().__init__(f"unknown {kind} {name!r}; {hint}")
        self.kind = kind
        self.name = name
        self.near = tuple(near)


class UnsupportedChoice(InputError):
    """Two choices that do not go together, e.g. float16 on a CPU; never silently changed."""


class WeightsError(InputError):
    """Weights that are missing, incomplete, of another shape, or not what their hash promised."""


class RejectedSequence(InputError):
    """A sequence that the cleaning policy refuses; ``reason`` goes into ``rejects.csv``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
