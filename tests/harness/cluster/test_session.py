from __future__ import annotations

import importlib.util
import os
import socket
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from harness.cli import main
from harness.cluster import session
from tests.bundled import write_fasta


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    fasta = write_fasta(tmp_path / "in.fna", {"g": "ACGTTGCA"})
    return ["embed", str(fasta), "--embedder", "kmer4", "-o", str(tmp_path / "out")]


def refusal(command: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(command) == 2
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


def test_a_missing_ray_is_named_with_what_installs_it(
    command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(name: str) -> ModuleSpec | None:
        return None if name == "ray" else importlib.util.find_spec(name)

    monkeypatch.setattr(session, "find_spec", find)
    said = refusal([*command, "--engine", "ray"], capsys)
    assert "pip install 'embedder-migration[ray]'" in said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--workers", "2"], "--address and --workers go with --engine ray"),
        (["--address", "auto"], "--address and --workers go with --engine ray"),
        (["--engine", "ray", "--address", "ray://head:10001"], "not through a client"),
        (["--engine", "ray", "--device", "cuda:1"], "use --device cuda"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_starts(
    command: list[str], capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    # k-mer frequencies have no choice of device: a model has
    named = [*command[:3], "mini-candidate", *command[4:]]
    assert words in refusal([*named, *options], capsys)


def test_an_address_where_no_ray_is_says_so(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    before = dict(os.environ)
    said = refusal([*command, "--engine", "ray", "--address", f"127.0.0.1:{port}"], capsys)
    assert f"no Ray at 127.0.0.1:{port}" in said
    assert len(said.splitlines()) == 1
    assert dict(os.environ) == before
