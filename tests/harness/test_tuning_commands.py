"""``harness finetune``: from a FASTA file to weights that ``harness embed`` takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import features
from harness.cli import main
from tests.harness.tuning.migrations import write_migration
from tests.harness.tuning.motifs import motifs

RECIPE = ("--max-residues", "16", "--max-epochs", "1", "--learning-rate", "5e-3")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_migration(folder, motifs(48, seed=1))
    with (folder / "proteins.faa").open("a", encoding="ascii") as file:
        file.write(">odd\nMK*TA\n")
    return folder


def run(data: Path, *arguments: str) -> int:
    files = (str(data / "proteins.faa"), "--labels", str(data / "labels.csv"))
    chosen = ("--embedder", "mini-candidate", "--device", "cpu")
    return main(["finetune", *files, *chosen, *RECIPE, *arguments])


def test_weights_are_written_that_embed_takes_and_the_share_that_was_learnt_is_told(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(data, "-o", str(tmp_path / "tuned")) == 0
    shown = capsys.readouterr()
    # 4 layers, query, key and value, two matrices of 8 by 96 for each; 4.1% of 450,720
    assert "18,432 numbers were learnt beside the encoder's 450,720 (4.1%)" in shown.out
    assert "1 record(s) cannot be embedded" in shown.err
    weights = tmp_path / "tuned" / "weights"
    assert f"--weights {weights}" in shown.out
    chosen = ("--embedder", "mini-candidate", "--weights", str(weights), "--device", "cpu")
    embed = ["embed", str(data / "proteins.faa"), *chosen, "-o", str(tmp_path / "features")]
    assert main([*embed, "--runtime", "packed"]) == 0
    assert features.open_folder(tmp_path / "features").width == 96
    # and that no migration judges by the proteins that they were learnt from
    text = (data / "motifs.toml").read_text("utf-8")
    own = data / "own.toml"
    own.write_text(text.replace("[candidate]", f'[candidate]\nweights = "{weights}"'), "utf-8")
    capsys.readouterr()
    assert main(["migrate", str(own), "-o", str(tmp_path / "results")]) == 2
    assert "was fine-tuned on 48 of the 48 proteins" in capsys.readouterr().err
    assert not list(tmp_path.glob("results/*"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--rank", "0"), "rank of the recipe must be at least 1, not 0"),
        (("--targets", "query,keys"), "targets of the recipe must be some of"),
        (("--seed", "-1"), "--seed must be at least 0, not -1"),
        (("--embedder", "kmer4"), "'kmer4' is no ESM-2 checkpoint"),
        (("--labels", "none.csv"), "none.csv: no such file"),
        (("--dtype", "float16"), "float16 on a CPU is refused"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line_and_nothing_is_written(
    data: Path,
    tmp_path: Path,
    arguments: tuple[str, ...],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(data, "-o", str(tmp_path / "tuned"), *arguments) == 2
    error = capsys.readouterr().err.strip()
    assert said in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "tuned" / "weights").exists()
