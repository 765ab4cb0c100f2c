"""Python and the libraries, against the ranges that this distribution declares and tests."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable
from importlib import metadata

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from harness.doctor.finding import Finding, fine, lacking
from harness.provenance import NOT_INSTALLED, library_version

DISTRIBUTION = "embedder-migration"
SAFE_TORCH = Version("2.6")
UNSAFE_TORCH = (
    f"below {SAFE_TORCH} a weights file can run code in spite of weights_only=True (CVE-2025-32434)"
)
_SHOWN = ("transformers", "fair-esm", "numpy", "scikit-learn")


def look() -> list[Finding]:
    """Compare what is installed with the metadata of this distribution; extras aside."""
    try:
        declared = metadata.metadata(DISTRIBUTION)
        lines = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        remedy = "pip install -e . in the checkout"
        found = f"{DISTRIBUTION} is not installed, so no range of versions is known"
        return [lacking("libraries", found, remedy, needed=True)]
    tested = SpecifierSet(declared["Requires-Python"] or "")
    requirements = [Requirement(line) for line in lines]
    return [
        examine_python(platform.python_version(), tested),
        *examine_libraries(requirements, library_version),
    ]


def examine_python(version: str, tested: SpecifierSet) -> Finding:
    """Say whether Python is one that the tests run on."""
    details = {"version": version, "tested": str(tested)}
    if tested.contains(version, prereleases=True):
        return fine("Python", f"{version}; tested: {_words(tested)}", needed=True, details=details)
    return lacking(
        "Python",
        f"{version} is outside the tested {_words(tested)}",
        f"make a virtual environment with a Python {_words(tested)}",
        needed=True,
        details=details,
    )


def examine_libraries(
    requirements: Iterable[Requirement], version_of: Callable[[str], str]
) -> list[Finding]:
    """Say of torch, and of all other libraries together, whether they are in their tested range.

    Parameters
    ----------
    requirements
        What the distribution declares; what only an extra or another platform asks for is left
        out.
    version_of
        Returns an installed version, or ``NOT_INSTALLED``.
    """
    wanted = {
        each.name: each
        for each in requirements
        if each.marker is None or each.marker.evaluate({"extra": ""})
    }
    versions = {name: version_of(name) for name in wanted}
    torch = wanted.pop("torch", None)
    findings = [] if torch is None else [_examine_torch(torch, versions["torch"])]
    faults = {
        name: _outside(each, versions[name])
        for name, each in wanted.items()
        if not _holds(each, versions[name])
    }
    details: dict[str, object] = {
        name: {"version": versions[name], "tested": str(each.specifier), "ok": name not in faults}
        for name, each in wanted.items()
    }
    if faults:
        details["absent"] = [name for name in faults if versions[name] == NOT_INSTALLED]
        pip = " ".join(f"'{name}{wanted[name].specifier}'" for name in faults)
        found = "; ".join(faults.values())
        return [
            *findings,
            lacking("libraries", found, f"pip install {pip}", needed=True, details=details),
        ]
    shown = ", ".join(f"{name} {versions[name]}" for name in _SHOWN if name in wanted)
    found = f"{len(wanted)} in their tested ranges, of them {shown}"
    return [*findings, fine("libraries", found, needed=True, details=details)]


def _examine_torch(requirement: Requirement, version: str) -> Finding:
    details = {"version": version, "tested": str(requirement.specifier)}
    if _holds(requirement, version):
        found = f"{version}; tested: {_words(requirement.specifier)}"
        return fine("torch", found, needed=True, details=details)
    found = _outside(requirement, version)
    parsed = _parse(version)
    if parsed is not None and parsed < SAFE_TORCH:
        found += f"; {UNSAFE_TORCH}"
    remedy = f"pip install 'torch{requirement.specifier}'"
    return lacking("torch", found, remedy, needed=True, details=details)


def _holds(requirement: Requirement, version: str) -> bool:
    parsed = _parse(version)
    return parsed is not None and requirement.specifier.contains(parsed, prereleases=True)


def _outside(requirement: Requirement, version: str) -> str:
    if version == NOT_INSTALLED:
        return f"{requirement.name} is not installed"
    return f"{requirement.name} {version} is outside the tested {_words(requirement.specifier)}"


def _parse(version: str) -> Version | None:
    try:
        return Version(version)
    except InvalidVersion:
        return None


def _words(tested: SpecifierSet) -> str:
    """Write a range from its lower end upwards."""
    return ", ".join(sorted((str(each) for each in tested), reverse=True))
