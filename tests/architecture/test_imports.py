"""The arrows point one way, and importing does nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("embedders", "classifier", "harness", "benchmarks")
WINGS = ("features", "measure", "judge", "report")
SOURCES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def imported(path: Path) -> set[str]:
    """Return every module a file imports, at whatever depth of its code."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def offences(folder: str, forbidden: tuple[str, ...]) -> list[str]:
    found = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        for name in sorted(imported(path)):
            if any(name == bad or name.startswith(f"{bad}.") for bad in forbidden):
                found.append(f"{path.relative_to(ROOT)} imports {name}")
    return found


@pytest.mark.parametrize(
    ("folder", "forbidden"),
    [
        ("embedders", ("classifier", "harness", "benchmarks")),
        ("classifier", ("embedders", "harness", "benchmarks")),
        ("harness", ("benchmarks",)),
        *(
            (f"harness/{wing}", tuple(f"harness.{other}" for other in WINGS if other != wing))
            for wing in WINGS
        ),
        *(
            (f"harness/{wing}", ("harness.migration", "harness.preparation", "harness.cli"))
            for wing in WINGS
        ),
    ],
)
def test_no_arrow_points_backwards(folder: str, forbidden: tuple[str, ...]) -> None:
    assert not offences(folder, forbidden)


def test_importing_loads_no_model_library_and_touches_no_environment() -> None:
    program = """
import os, sys
before = dict(os.environ)
import classifier, embedders, harness, harness.cli, harness.migration
heavy = {"esm", "transformers", "skorch", "sklearn", "pandas", "ray"} & set(sys.modules)
assert not heavy, heavy
assert dict(os.environ) == before
import logging
assert not logging.getLogger().handlers
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_module_is_short_and_explained(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 330
    assert ast.get_docstring(ast.parse(text)) or not text.strip()


def test_every_package_is_listed_for_the_wheel() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = set(project["tool"]["setuptools"]["packages"])
    found = {".".join(path.parent.relative_to(ROOT).parts) for path in SOURCES}
    assert listed == found


def test_every_direct_dependency_is_pinned_for_tox() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["test"], *extras["dev"]]
    pins = (ROOT / ".ci" / "constraints.txt").read_text(encoding="utf-8")
    pinned = {line.split("==")[0].lower() for line in pins.splitlines() if "==" in line}
    for requirement in wanted:
        name = requirement.split(">")[0].split("[")[0].strip().lower()
        assert name in pinned or name == project["name"], f"{name} is not pinned"
