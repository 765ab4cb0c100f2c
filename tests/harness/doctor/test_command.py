"""``harness doctor`` as a user runs it: exit codes, one screen, JSON, and nothing left behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.cli import main
from harness.doctor import graphics, libraries
from harness.doctor.graphics import Graphics
from harness.provenance import NOT_INSTALLED, library_version
from tests.harness.doctor.conftest import DEMO, REAL, Setting

pytestmark = pytest.mark.hub

KEYS = {"subject", "status", "needed", "found", "remedy", "details"}
NO_GPU = Graphics(None)


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Path:
    """No GPU, no hub and an empty cache, whatever this machine has."""
    monkeypatch.setattr(graphics, "look", lambda: NO_GPU)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    return cache


def doctor(
    capsys: pytest.CaptureFixture[str], *arguments: str | Path
) -> tuple[int, dict[str, Any]]:
    code = main(["doctor", *map(str, arguments), "--json"])
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return code, document


def missing(document: dict[str, Any]) -> list[str]:
    return [each["subject"] for each in document["findings"] if each["status"] == "missing"]


def test_without_a_migration_a_sound_installation_is_enough(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, document = doctor(capsys, "-o", tmp_path / "out")
    assert (code, document["ok"], missing(document)) == (0, True, [])
    needed = {each["subject"] for each in document["findings"] if each["needed"]}
    assert needed == {"Python", "torch", "libraries", "output folder", "free disk"}


def test_json_has_its_schema_and_every_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, document = doctor(capsys, "-o", tmp_path)
    assert set(document) == {"schema", "ok", "findings"}
    assert document["schema"] == "doctor/1"
    for finding in document["findings"]:
        assert set(finding) == KEYS
        assert finding["status"] in ("ok", "note", "missing")
        assert bool(finding["remedy"]) == (finding["status"] != "ok")
    subjects = [each["subject"] for each in document["findings"]]
    assert len(set(subjects)) == len(subjects)


def test_the_demo_can_be_run_on_any_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, document = doctor(capsys, DEMO, "-o", tmp_path / "out")
    assert (code, missing(document)) == (0, [])
    disk = document["findings"][-1]
    assert disk["details"]["sequences"] == 2002 + 1720  # records of the bundled data sets


def test_the_real_migration_offline_names_its_weights_and_its_gate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, document = doctor(capsys, REAL, "-o", tmp_path)
    assert code == 1
    assert {"CUDA", "model hub", "baseline weights", "candidate weights"} <= set(missing(document))
    found = {each["subject"]: each["found"] for each in document["findings"]}
    assert "esm2-3b" in found["baseline weights"]
    assert "gates.device_memory_at_most" in found["CUDA"]


@pytest.mark.parametrize(
    ("before", "after", "subject"),
    [
        ('device = "auto"', 'device = "cuda"', "CUDA"),
        ("speedup_at_least", "device_memory_at_most", "CUDA"),
        ('dtype = "bfloat16"', 'dtype = "float16"', "candidate"),
        ('weights = "mini"', 'weights = "hub"', "baseline weights"),
        ('weights = "mini"', 'weights = "nowhere"', "baseline weights"),
    ],
)
def test_one_line_of_the_migration_makes_it_unready(
    demo_with: Setting,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    before: str,
    after: str,
    subject: str,
) -> None:
    code, document = doctor(capsys, demo_with(before, after), "-o", tmp_path)
    assert code == 1
    assert missing(document) == [subject]


def test_a_disk_too_small_is_missing_whatever_is_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, document = doctor(capsys, "-o", tmp_path, "--sequences", "1000000000000")
    assert (code, missing(document)) == (1, ["free disk"])


def test_a_library_that_is_absent_ends_the_examination_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def version_of(name: str) -> str:
        return NOT_INSTALLED if name == "fair-esm" else library_version(name)

    monkeypatch.setattr(libraries, "library_version", version_of)
    code, document = doctor(capsys, "-o", tmp_path)
    assert (code, missing(document)) == (1, ["libraries"])
    assert "runtimes" not in {each["subject"] for each in document["findings"]}
    assert "pip install 'fair-esm>=2.0.0'" in str(document)


@pytest.mark.parametrize("arguments", [[], [DEMO], [REAL]], ids=["none", "demo", "real"])
def test_the_findings_fit_one_screen(
    arguments: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["doctor", *map(str, arguments), "-o", str(tmp_path)])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 100
    assert lines[-1].startswith("ready" if code == 0 else "not ready")


@pytest.mark.parametrize("text", ["schema = 1\nnam = 'x'\n", "not TOML"])
def test_a_migration_that_cannot_be_read_is_one_line_and_exit_2(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "spec.toml"
    path.write_text(text, encoding="utf-8")
    assert main(["doctor", str(path)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 1
    assert "spec.toml" in shown.err


def test_no_token_is_shown_and_no_file_left_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "not-a-token-of-anybody"  # noqa: S105 - nobody has it
    monkeypatch.setenv("HF_TOKEN", secret)
    before = sorted(tmp_path.rglob("*"))
    main(["doctor", str(REAL), "-o", str(tmp_path / "out")])
    main(["doctor", str(REAL), "-o", str(tmp_path / "out"), "--json"])
    shown = capsys.readouterr()
    assert "a token is set" in shown.out
    assert secret not in shown.out + shown.err
    assert sorted(tmp_path.rglob("*")) == before
