"""``harness audit``: a line for each check, and an exit code that a script can trust."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import DEMO
from embedders import Embedder, InputError, load
from harness import parity_commands
from harness.measure import LEAST_ROWS, OffByTwoTruncation, ShuffledRows
from tests.bundled import shortest, write_fasta
from tests.command_line import run_alone

FASTA = DEMO.parent / "data" / "proteins.faa.gz"


def run(*arguments: str) -> int:
    return run_alone(parity_commands, "audit", *arguments, "--device", "cpu")


@pytest.fixture(scope="module")
def fasta(tmp_path_factory: pytest.TempPathFactory) -> str:
    records = shortest(LEAST_ROWS)
    return str(write_fasta(tmp_path_factory.mktemp("audit") / "short.faa", records))


def test_a_sound_embedder_passes_and_leaves_tables(
    fasta: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = ("--embedder", "mini-candidate", "--runtime", "packed", "--dtype", "bfloat16")
    folder = tmp_path / "out"
    assert run(fasta, *chosen, "--against", "mini-baseline", "-o", str(folder)) == 0
    shown = capsys.readouterr().out
    with (folder / "audit.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    with (folder / "layers.csv").open(encoding="utf-8") as stream:
        layers = list(csv.DictReader(stream))
    document = json.loads((folder / "audit.json").read_text(encoding="utf-8"))
    assert document["passed"] is True
    assert document["sequences"] == LEAST_ROWS
    assert [row["check"] for row in rows] == [each["check"] for each in document["checks"]]
    for row in rows:
        line = next(line for line in shown.splitlines() if f" {row['check']}  " in line)
        assert line.startswith("PASS")
        assert row["sentence"] in line
    assert {row["of"] for row in rows} == {"mini-candidate", "mini-candidate and mini-baseline"}
    assert [each["layer"] for each in layers] == [each["layer"] for each in document["layers"]]
    assert [each["name"] for each in document["embedders"]] == ["mini-candidate", "mini-baseline"]
    assert shown.splitlines()[-1] == f"{len(rows)} checks, 0 failed"


def test_a_fault_fails_its_line_and_the_exit_code(
    fasta: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def spoilt(name: str, **options: Any) -> Embedder:  # noqa: ANN401 - those of load
        embedder = load(name, **options)
        return OffByTwoTruncation(embedder) if options.get("runtime") == "packed" else embedder

    monkeypatch.setattr(parity_commands, "load", spoilt)
    assert run(fasta, "--embedder", "mini-candidate", "--runtime", "packed", "--json") == 1
    document = json.loads(capsys.readouterr().out)
    assert document["passed"] is False
    assert [each["check"] for each in document["checks"] if not each["passed"]] == ["window"]
    assert not document["layers"]


def test_an_embedder_with_shuffled_ids_is_not_like_the_other(
    fasta: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def spoilt(name: str, **options: Any) -> Embedder:  # noqa: ANN401 - those of load
        embedder = load(name, **options)
        return ShuffledRows(embedder) if name == "mini-baseline" else embedder

    monkeypatch.setattr(parity_commands, "load", spoilt)
    chosen = ("--embedder", "mini-candidate", "--runtime", "packed")
    assert run(fasta, *chosen, "--against", "mini-baseline") == 1
    failed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("FAIL")]
    assert len(failed) == 3
    assert all("mini-candidate and mini-baseline" in line for line in failed)


def test_random_weights_and_the_legacy_policy_can_be_audited(
    capsys: pytest.CaptureFixture[str],
) -> None:
    chosen = ("--embedder", "esm2-8m", "--weights", "random:3", "--layers", "1")
    assert run(str(FASTA), *chosen, "--truncation", "legacy", "--sequences", "3") == 0
    assert "window against huggingface" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--embedder", "kmer4"), "kmer4 embeds no proteins"),
        (("--embedder", "mini-candidate", "--against", "kmer4"), "kmer4 embeds no proteins"),
        (
            ("--embedder", "mini-candidate", "--against", "mini-baseline", "--sequences", "3"),
            "at least 20 sequences",
        ),
    ],
)
def test_what_cannot_be_asked_is_refused_before_anything_is_written(
    fasta: str, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        run(fasta, *arguments, "-o", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_missing_file_and_a_full_folder_are_refused(fasta: str, tmp_path: Path) -> None:
    chosen = ("--embedder", "mini-candidate")
    with pytest.raises(InputError, match="no such file"):
        run(str(tmp_path / "none.faa"), *chosen)
    (tmp_path / "kept.txt").write_text("kept", encoding="utf-8")
    with pytest.raises(InputError, match="results are never replaced"):
        run(fasta, *chosen, "-o", str(tmp_path))
