"""Every command exists, shows an example, and refuses bad usage in one line with exit 2."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from harness.cli import main
from harness.evidence import Decision
from harness.parser import build_parser
from harness.report import new_folder
from harness.results import write_comparison
from tests.harness.example_run import comparison, judged

COMMANDS = (
    *("list", "doctor", "selftest", "audit", "embed", "merge", "train", "predict"),
    *("sweep", "attribute", "migrate", "report", "check"),
    *("attention", "choose", "finetune", "finetune-judge", "plan", "transfer"),
)
FASTA = ">a\nMKTAYIAKQR\n>b\nMKV\n"


@pytest.fixture
def fasta(tmp_path: Path) -> Path:
    path = tmp_path / "in.faa"
    path.write_text(FASTA, encoding="utf-8")
    return path


@pytest.mark.parametrize("command", COMMANDS)
def test_help_ends_with_an_example_that_parses(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    example = shlex.split(shown.partition("example: harness ")[2])
    assert example[0] == command
    assert build_parser().parse_args(example).command == command


def refusal(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    try:
        code = main(arguments)
    except SystemExit as stopped:
        code = stopped.code if isinstance(stopped.code, int) else -1
    assert code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def embed(fasta: Path, out: Path, name: str = "mini-candidate") -> list[str]:
    return ["embed", str(fasta), "--embedder", name, "-o", str(out)]


def test_no_command_and_unknown_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert "COMMAND" in refusal([], capsys)
    assert "invalid choice: 'embded'" in refusal(["embded"], capsys)


def test_embed_of_a_missing_file_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refusal(embed(tmp_path / "none.faa", tmp_path / "out"), capsys)
    assert "none.faa: no such file" in line


def test_unknown_embedder_gives_the_nearest_name(
    fasta: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refusal(embed(fasta, tmp_path / "out", "esm2-3B-"), capsys)
    assert "did you mean esm2-3b" in line


def test_folder_that_cannot_be_written(
    fasta: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    line = refusal(embed(fasta, tmp_path / "file" / "out"), capsys)
    assert str(tmp_path / "file") in line


def test_wrong_spec_key_is_named_with_the_nearest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = tmp_path / "spec.toml"
    spec.write_text('schema = 1\nnam = "x"\n', encoding="utf-8")
    line = refusal(["migrate", str(spec)], capsys)
    assert "unknown key 'nam'; did you mean 'name'" in line


@pytest.mark.parametrize("value", ["0", "-3", "many"])
def test_a_count_below_one_is_refused(
    fasta: Path, tmp_path: Path, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refusal([*embed(fasta, tmp_path / "out"), "--tokens-per-batch", value], capsys)
    assert "--tokens-per-batch" in line
    assert f"{value!r} is not a whole number of at least 1, nor auto" in line


@pytest.mark.parametrize(
    ("options", "budget"), [([], None), (["auto"], None), (["512"], 512)], ids=str
)
def test_a_token_budget_is_found_unless_a_number_is_given(
    options: list[str], budget: int | None
) -> None:
    given = ["--tokens-per-batch", *options] if options else []
    parsed = build_parser().parse_args([*embed(Path("in.faa"), Path("out")), *given])
    assert parsed.tokens_per_batch == budget


def test_embed_says_which_budget_it_took_and_records_it(
    fasta: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("EMBEDDER_MIGRATION_CACHE", raising=False)
    command = [*embed(fasta, tmp_path / "out"), "--runtime", "huggingface"]
    assert main(command) == 0
    assert "note: 4,096 tokens per batch: the default, for the input is too" in (
        capsys.readouterr().err
    )
    assert '"in_force": 4096' in (tmp_path / "out" / "manifest.json").read_text("utf-8")
    assert not (tmp_path / "cache").exists()


def test_merge_report_and_check_of_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = str(tmp_path / "gone")
    assert gone in refusal(["merge", gone, gone, "-o", str(tmp_path / "out")], capsys)
    assert gone in refusal(["train", gone, "-o", str(tmp_path / "out")], capsys)
    assert gone in refusal(["predict", gone, gone, "-o", str(tmp_path / "out.csv")], capsys)
    assert gone in refusal(["report", gone], capsys)
    assert gone in refusal(["check", gone, gone], capsys)


def test_list_gives_the_published_widths(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--json"]) == 0
    width = {row["name"]: row["width"] for row in json.loads(capsys.readouterr().out)}
    assert (width["esm2-3b"], width["fastesm2-650"]) == (2560, 1280)
    assert main(["list"]) == 0
    shown = capsys.readouterr().out
    assert all(re.search(rf"^{re.escape(name)}\s", shown, re.MULTILINE) for name in width)


def test_fasta_to_prediction_through_the_commands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    residues = {"viral": "MKWLLSTTAG", "host": "GDEEKRNQPY"}
    for label, unit in residues.items():
        proteins, genes = tmp_path / f"{label}.faa", tmp_path / f"{label}.fna"
        names = [f"{label}{n}_chunk_1F1" for n in range(12)]
        proteins.write_text(
            "".join(f">{name}\n{unit * (3 + n)}\n" for n, name in enumerate(names)), "utf-8"
        )
        genes.write_text(
            "".join(f">{name}\n{'ACGTTGCA' * 9}\n" for name in reversed(names)), "utf-8"
        )
        assert main(embed(proteins, tmp_path / label / "protein")) == 0
        assert main(embed(genes, tmp_path / label / "dna", "kmer4")) == 0
        parts = [str(tmp_path / label / part) for part in ("dna", "protein")]
        merged = str(tmp_path / label / "merged")
        assert main(["merge", *parts, "-o", merged, "--label", label]) == 0
    folders = [str(tmp_path / label / "merged") for label in residues]
    model, out = str(tmp_path / "model"), tmp_path / "scores.csv"
    assert main(["train", *folders, "-o", model, "--seed", "3"]) == 0
    assert main(["predict", model, *folders, "-o", str(out)]) == 0
    lines = out.read_text("utf-8").splitlines()
    contigs = (tmp_path / "scores.contigs.csv").read_text("utf-8").splitlines()
    assert len(lines) == len(contigs) == 1 + 24
    assert lines[0] == "id,probability,prediction"
    capsys.readouterr()
    only_protein = str(tmp_path / "host" / "protein")
    assert "merge it" in refusal(["predict", model, only_protein, "-o", str(out)], capsys)


def test_report_makes_the_tables_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = new_folder(tmp_path, "run")
    run = judged(comparison())
    write_comparison(run, folder)
    assert main(["report", str(folder)]) == 0
    said = capsys.readouterr()
    assert f"Verdict: {run.verdict.decision}" in said.out
    assert "not computed again: groups/d.csv, predictions/d-baseline.csv" in said.err
    assert (folder / "comparison.csv").exists()
    assert (folder / "report.md").exists()


def test_a_run_whose_verdict_does_not_follow_is_not_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = new_folder(tmp_path, "run")
    run = judged(comparison())
    wrong = Decision.FAIL if run.verdict.decision is Decision.PASS else Decision.PASS
    write_comparison(replace(run, verdict=replace(run.verdict, decision=wrong)), folder)
    assert main(["report", str(folder)]) == 2
    assert "the verdict does not follow from the gates" in capsys.readouterr().err


def test_check_of_a_run_against_itself_finds_no_regression(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = new_folder(tmp_path, "run")
    write_comparison(comparison(), folder)
    assert main(["check", str(folder), str(folder)]) == 0
    assert "PASS" in capsys.readouterr().out


def test_a_run_never_takes_the_folder_of_another(tmp_path: Path) -> None:
    assert new_folder(tmp_path, "run").name == "run"
    assert new_folder(tmp_path, "run").name == "run-2"
