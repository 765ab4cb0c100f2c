"""Python and libraries against declared ranges."""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from harness.doctor import Status, libraries
from harness.provenance import NOT_INSTALLED

TORCH = Requirement("torch>=2.6")
TRANSFORMERS = Requirement("transformers<6,>=4.57")
EXTRA = Requirement('flash-attn>=2.6; extra == "gpu"')
PYTHONS = SpecifierSet(">=3.11,<3.14")


@pytest.mark.parametrize("version", ["3.11.0", "3.13.9"])
def test_a_python_in_range_is_ok(version: str) -> None:
    assert libraries.examine_python(version, PYTHONS).status is Status.OK


@pytest.mark.parametrize("version", ["3.10.14", "3.14.0"])
def test_a_python_outside_is_missing_and_the_range_is_named(version: str) -> None:
    finding = libraries.examine_python(version, PYTHONS)
    assert finding.status is Status.MISSING
    assert ">=3.11, <3.14" in finding.remedy


@pytest.mark.parametrize("version", ["2.6.0", "2.13.0+cpu", "2.14.0.dev20261101+cu130"])
def test_a_torch_in_range_is_ok_with_any_build(version: str) -> None:
    (torch, _) = libraries.examine_libraries([TORCH], lambda _: version)
    assert torch.status is Status.OK


@pytest.mark.parametrize("version", ["2.5.1", "2.5.1+cu124"])
def test_a_torch_whose_weights_only_can_be_escaped_is_called_out(version: str) -> None:
    (torch, _) = libraries.examine_libraries([TORCH], lambda _: version)
    assert torch.status is Status.MISSING
    assert "CVE-2025-32434" in torch.found
    assert "torch>=2.6" in torch.remedy


@pytest.mark.parametrize("version", ["4.56.2", "6.0.0", NOT_INSTALLED, "no version"])
def test_a_library_outside_its_range_is_missing_with_its_range_to_install(version: str) -> None:
    versions = {"transformers": version}
    (rest,) = libraries.examine_libraries([TRANSFORMERS], versions.__getitem__)
    assert rest.status is Status.MISSING
    assert "transformers" in rest.found
    assert "<6" in rest.remedy
    assert ">=4.57" in rest.remedy


def test_what_only_an_extra_asks_for_is_not_looked_at() -> None:
    (rest,) = libraries.examine_libraries([TRANSFORMERS, EXTRA], lambda _: "5.0")
    assert rest.status is Status.OK
    assert set(rest.details) == {"transformers"}


def test_this_environment_satisfies_every_declared_dependency() -> None:
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    python, torch, rest = libraries.look()
    assert all(finding.status is Status.OK for finding in (python, torch, rest))
    declared = {Requirement(line).name for line in project["dependencies"]}
    installed = {
        Requirement(line).name
        for line in metadata.requires(libraries.DISTRIBUTION) or []
        if "extra ==" not in line
    }
    assert {"torch", *rest.details} == installed <= declared


def test_a_distribution_that_is_not_installed_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "DISTRIBUTION", "no-such-distribution")
    (finding,) = libraries.look()
    assert finding.status is Status.MISSING
