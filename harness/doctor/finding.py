"""One thing that was looked at, and all of them together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum

SCHEMA = "doctor/1"

_NOTHING: Mapping[str, object] = {}


class Status(StrEnum):
    """What a finding means for the run that was asked about.

    ``OK``: fine. ``NOTE``: stops nothing, but is worth knowing. ``MISSING``: the run needs it.
    """

    OK = "ok"
    NOTE = "note"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    ``needed`` tells whether the run cannot do without it; only what is needed can be missing.
    ``remedy`` says what to do, unless all is well. ``details`` holds figures for programs, in
    values that JSON has.
    """

    subject: str
    status: Status
    needed: bool
    found: str
    remedy: str = ""
    details: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.status is Status.MISSING and not self.needed:
            raise ValueError(f"{self.subject!r} is not needed and so cannot be missing")
        if (self.status is Status.OK) == bool(self.remedy):
            raise ValueError(f"{self.subject!r} is {self.status}, with remedy {self.remedy!r}")


@dataclass(frozen=True, slots=True)
class Examination:
    """Every finding, in the order in which they are shown."""

    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Tell whether nothing that is needed is missing."""
        return not self.of(Status.MISSING)

    def of(self, status: Status) -> tuple[Finding, ...]:
        """Return the findings of one status."""
        return tuple(finding for finding in self.findings if finding.status is status)

    def document(self) -> dict[str, object]:
        """Return all of it as plain values, for JSON."""
        return {
            "schema": SCHEMA,
            "ok": self.ok,
            "findings": [asdict(finding) for finding in self.findings],
        }


def fine(
    subject: str, found: str, *, needed: bool = False, details: Mapping[str, object] = _NOTHING
) -> Finding:
    """Return a finding with which all is well."""
    return Finding(subject, Status.OK, needed, found, details=details)


def lacking(
    subject: str,
    found: str,
    remedy: str,
    *,
    needed: bool,
    details: Mapping[str, object] = _NOTHING,
) -> Finding:
    """Return a finding of what is not there: missing if it is needed, else a note."""
    status = Status.MISSING if needed else Status.NOTE
    return Finding(subject, status, needed, found, remedy, details)
