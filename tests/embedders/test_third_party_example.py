"""The worked example of the docs: installed as its README says, found, used, and conformant."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "third-party-embedder"
NAME = "acme-convolution"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example installed by pip, from a copy: building leaves files behind."""
    folder = tmp_path_factory.mktemp("example")
    source = shutil.copytree(EXAMPLE, folder / "source")
    target = folder / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--target", str(target)]
    _run(*pip, *offline, str(source))
    return target


def _run(*command: str, path: Path | None = None, cwd: Path | None = None) -> str:
    environment = os.environ if path is None else {**os.environ, "PYTHONPATH": str(path)}
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env=environment, cwd=cwd
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def _harness(installed: Path, *arguments: str, cwd: Path) -> str:
    code = "import sys; from harness.cli import main; sys.exit(main())"
    return _run(sys.executable, "-c", code, *arguments, path=installed, cwd=cwd)


def test_it_is_listed_once_it_is_installed(installed: Path, tmp_path: Path) -> None:
    (row,) = (
        each
        for each in json.loads(_harness(installed, "list", "--json", cwd=tmp_path))
        if each["provider"] is not None
    )
    assert (row["name"], row["width"]) == (NAME, 24)
    assert row["provider"] == "acme-embedders 0.1.0"
    assert row["runtimes"] == ["torch", "reference"]


def test_it_embeds_a_file(installed: Path, tmp_path: Path) -> None:
    fasta = tmp_path / "proteins.faa"
    fasta.write_text(">one\nMKTAYIAKQR\n>two\nMKWVTF\n>bad\nMK1\n", encoding="utf-8")
    said = _harness(
        installed,
        *("embed", str(fasta), "--embedder", NAME, "-o", "out", "--device", "cpu"),
        cwd=tmp_path,
    )
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert "2" in said
    assert NAME in json.dumps(manifest)


def test_an_audit_compares_it_with_its_second_runtime(installed: Path, tmp_path: Path) -> None:
    fasta = tmp_path / "proteins.faa"
    records = [f">p{size}\n{('MKTAYIAKQRQISFVKSHFSRQ' * 3)[:size]}" for size in range(8, 40, 4)]
    fasta.write_text("\n".join(records), encoding="utf-8")
    said = _harness(
        installed,
        *("audit", str(fasta), "--embedder", NAME, "--device", "cpu", "--json"),
        cwd=tmp_path,
    )
    checks = {each["check"]: each["passed"] for each in json.loads(said)["checks"]}
    assert checks["agreement with reference"]
    assert all(checks.values())


def test_its_own_tests_pass(installed: Path) -> None:
    tests = installed.parent / "source" / "tests"
    _run(sys.executable, "-m", "pytest", "-q", str(tests), path=installed, cwd=tests)


def test_it_is_not_found_where_it_is_not_installed(tmp_path: Path) -> None:
    code = "import embedders; print([row['name'] for row in embedders.list_embedders()])"
    assert NAME not in _run(sys.executable, "-c", code, cwd=tmp_path)
