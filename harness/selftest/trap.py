"""One fault that is planted on purpose, and whether the harness notices it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from embedders import InputError

SCHEMA = "embedder-migration/selftest/1"


@dataclass(frozen=True, slots=True)
class Trap:
    """A fault and the guard that must notice it.

    ``sound`` and ``faulty`` are the guard's own words on the healthy and on the spoilt material;
    ``quiet`` tells whether it let the healthy pass, ``caught`` whether it stopped the spoilt. A
    guard that cries at everything has caught nothing.
    """

    fault: str
    guard: str
    sound: str
    faulty: str
    quiet: bool
    caught: bool

    @property
    def holds(self) -> bool:
        """Tell whether the guard tells healthy from spoilt."""
        return self.quiet and self.caught


@dataclass(frozen=True, slots=True)
class Control:
    """An embedder against itself: ``holds`` tells whether no difference was found."""

    compared: str
    found: str
    holds: bool


@dataclass(frozen=True, slots=True)
class SelfTest:
    """All traps of one run, and the A/A comparisons."""

    embedder: str
    seconds: float
    traps: tuple[Trap, ...]
    controls: tuple[Control, ...]

    @property
    def ok(self) -> bool:
        """Tell whether every guard held and no control found a difference."""
        return self.caught == len(self.traps) and all(each.holds for each in self.controls)

    @property
    def caught(self) -> int:
        """How many faults were noticed by a guard that is quiet otherwise."""
        return sum(trap.holds for trap in self.traps)

    def document(self, provenance: Mapping[str, object]) -> dict[str, object]:
        """Return all of it as plain values, for JSON."""
        return {
            "schema": SCHEMA,
            "ok": self.ok,
            **asdict(self),
            "caught": self.caught,
            "provenance": provenance,
        }


def trap_of_refusal(
    fault: str, guard: str, sound: Callable[[], object], faulty: Callable[[], object]
) -> Trap:
    """Return the trap of a guard that refuses what is spoilt, as bad input."""
    refused_sound, refused = _refusal(sound), _refusal(faulty)
    return Trap(
        fault=fault,
        guard=guard,
        sound=refused_sound or "accepted",
        faulty=refused or "accepted",
        quiet=refused_sound is None,
        caught=refused is not None,
    )


def _refusal(act: Callable[[], object]) -> str | None:
    """Return the message with which input is refused, or None where it is accepted."""
    try:
        act()
    except InputError as error:
        return f"refused: {error}"
    return None
