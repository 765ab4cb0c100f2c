"""Weights are not judged by proteins whose labels they have learnt."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from embedders import InputError
from harness.learnt import LEARNT_FILE, learnt_from, refuse_known, write_learnt
from harness.preparation import Preparation
from harness.spec import MigrationSpec, read_spec
from tests.harness.tuning.migrations import write_migration
from tests.harness.tuning.motifs import motifs


def digest(residues: str) -> str:
    return hashlib.sha256(residues.encode()).hexdigest()[:16]


def migration(folder: Path, weights: Path, *, arm: str = "candidate") -> MigrationSpec:
    path = write_migration(folder, motifs(12, seed=1))
    text = path.read_text("utf-8")
    path.write_text(text.replace(f"[{arm}]", f'[{arm}]\nweights = "{weights}"'), "utf-8")
    return read_spec(path)


def test_the_list_has_each_protein_once_and_those_of_the_start(tmp_path: Path) -> None:
    write_learnt(tmp_path, ["MKT", "MKT", "MKV"], start=None)
    assert learnt_from(str(tmp_path)) == {digest("MKT"), digest("MKV")}
    then = tmp_path / "then"
    then.mkdir()
    path = write_learnt(then, ["MAA"], start=str(tmp_path))
    lines = path.read_text("ascii").splitlines()
    assert lines == sorted(map(digest, ["MKT", "MKV", "MAA"]))


@pytest.mark.parametrize("weights", [None, "mini", "hub", "random:3"])
def test_weights_that_are_no_folder_know_nothing(
    weights: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_learnt(tmp_path, ["MKT"], start=None)
    monkeypatch.chdir(tmp_path)
    assert learnt_from(weights) == frozenset()


@pytest.mark.parametrize("arm", ["baseline", "candidate"])
def test_one_protein_in_common_is_one_too_many(tmp_path: Path, arm: str) -> None:
    spec = migration(tmp_path, tmp_path, arm=arm)
    fasta = tmp_path / "proteins.faa"
    shared = motifs(12, seed=1).residues[5]
    fasta.write_text(fasta.read_text("ascii").replace(shared, shared.lower()), "ascii")
    write_learnt(tmp_path, ["MKT", shared], start=None)
    with pytest.raises(InputError, match=rf"1 of the 12 proteins of .*judge the {arm} by other"):
        refuse_known(spec)
    with pytest.raises(InputError, match="was fine-tuned on"):
        Preparation(spec, tmp_path / "features")


def test_other_proteins_may_be_judged(tmp_path: Path) -> None:
    spec = migration(tmp_path, tmp_path)
    write_learnt(tmp_path, motifs(12, seed=2).residues, start=None)
    assert not set(motifs(12, seed=2).residues) & set(motifs(12, seed=1).residues)
    refuse_known(spec)


def test_a_damaged_list_is_named_with_its_line(tmp_path: Path) -> None:
    path = write_learnt(tmp_path, ["MKT", "MKV"], start=None)
    path.write_text(path.read_text("ascii")[:-3], "ascii")
    with pytest.raises(InputError, match=rf"{LEARNT_FILE}: line 2 is no digest"):
        learnt_from(str(tmp_path))
