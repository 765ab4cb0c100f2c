"""Rows 53 to 59 of docs/promises.md: input that would run, overwrite or mislead."""

from __future__ import annotations

import copy
import csv
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import embedders
from benchmarks import DEMO
from classifier import CheckpointError
from classifier import load as load_classifier
from embedders import Embedder, UnsupportedChoice, WeightsError, load
from harness import cells
from harness.cli import main
from harness.evidence import Decision
from harness.features import ShardCorrupt, extract, open_folder, read_rejects, read_shard
from harness.report import markdown
from harness.results import Gate
from harness.spec import SpecError, read_spec
from tests.harness.example_run import comparison
from tests.payload import Payload

WriteFasta = Callable[..., Path]
COMMIT = "43667d44e325f0d0c0ee0b90d6956bf5c5998959"


def copy_of_mini(folder: Path) -> Path:
    """Copy the bundled candidate's weights, laid out like the hub's."""
    folder.mkdir()
    for path in (Path(embedders.__file__).parent / "mini" / "mini-candidate").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_row_53_a_pickle_payload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    copy.copy(Payload())  # does what unpickling does: the fault would run
    Path("payload-was-run").rmdir()

    torch.save({"proteins": ["a"], "data": [Payload()]}, "shard.pt")
    with pytest.raises(ShardCorrupt, match="which is not run"):
        read_shard(Path("shard.pt"))
    assert main(["merge", "shard.pt", "shard.pt", "-o", "out"]) == 2

    weights = copy_of_mini(tmp_path / "weights")
    (weights / "model.safetensors").unlink()
    torch.save({"esm.x": Payload()}, weights / "pytorch_model.bin")
    with pytest.raises(WeightsError):
        load("mini-candidate", weights=str(weights), device="cpu")

    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "classifier.json").write_bytes(pickle.dumps(Payload()))
    torch.save(Payload(), tmp_path / "model" / "classifier.safetensors")
    with pytest.raises(CheckpointError):
        load_classifier(tmp_path / "model")
    assert not Path("payload-was-run").exists()


def test_row_54_code_without_a_pin_and_weights_that_are_not_the_promised_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UnsupportedChoice, match="a revision that you name in full"):
        load("fastesm2-650", weights="hub", remote_code=True, device="cpu")
    for unpinned in ("main", "v1.0", COMMIT[:12], COMMIT.upper()):
        with pytest.raises(UnsupportedChoice, match="40 lower-case hex digits"):
            load(
                *("fastesm2-650",),
                weights="hub",
                remote_code=True,
                revision=unpinned,
                device="cpu",
            )
    weights = copy_of_mini(tmp_path / "mini-candidate")
    monkeypatch.setattr("embedders.weights._MINI_FOLDER", tmp_path)
    assert load("mini-candidate", weights="mini", device="cpu").spec.width == 96
    path = weights / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"model\.safetensors has SHA-256 .*damaged or was re"):
        load("mini-candidate", weights="mini", device="cpu")


def test_row_55_markup_in_an_id() -> None:
    attack = "<script>alert('x')</script>"
    run = comparison()
    gate = Gate(attack, None, None, None, None, Decision.FAIL, f"id {attack} | more")
    run = replace(
        run,
        run=attack,
        spec=replace(run.spec, title=attack),
        provenance=replace(run.provenance, command=f"harness {attack}"),
        gates=(gate,),
        verdict=replace(run.verdict, reason=attack),
    )
    shown = markdown(run)
    outside_code = "".join(part for n, part in enumerate(shown.split("`")) if n % 2 == 0)
    assert "<script" not in outside_code
    assert "&lt;script&gt;" in outside_code


DANGEROUS = ("=cmd()", "+1", "-1", "@SUM(A1)")


def test_row_56_a_text_that_a_spreadsheet_would_run(
    tmp_path: Path, mini: Embedder, fasta: WriteFasta
) -> None:
    path = fasta("".join(f">{name}\n1\n" for name in DANGEROUS).encode())
    extract(path, mini, tmp_path / "out", progress=False)
    with (tmp_path / "out" / "rejects.csv").open(encoding="utf-8", newline="") as file:
        _, *rows = csv.reader(file)
    assert [row[0] for row in rows] == [f"'{name}" for name in DANGEROUS]
    assert tuple(each.id for each in read_rejects(tmp_path / "out")) == DANGEROUS
    for start in (*"=+-@", "\t", "\r"):
        assert cells.guard(f"{start}x") == f"'{start}x"


def test_row_57_a_path_as_id(tmp_path: Path, mini: Embedder, fasta: WriteFasta) -> None:
    ids = ("../../x", "/x", "..", "C:\\x", "~/x")
    path = fasta("".join(f">{name}\nMKV\n" for name in ids).encode())
    before = set(tmp_path.rglob("*"))
    extract(path, mini, tmp_path / "a" / "b" / "out", shard_size=1, progress=False)
    made = {each for each in tmp_path.rglob("*") if each.is_file()} - before
    out = tmp_path / "a" / "b" / "out"
    shards = {out / f"shard-0000{number}.pt" for number in range(len(ids))}
    beside = {out / name for name in (".lock", "journal.jsonl", "manifest.json", "rejects.csv")}
    assert made == shards | beside
    assert open_folder(out).ids() == ids


def test_row_58_comma_quote_and_newline_in_an_id(
    tmp_path: Path, mini: Embedder, fasta: WriteFasta
) -> None:
    # a FASTA id has no blank in it, so the newline is that of CSV's own quoting
    ids = ('a,b"c', "'quoted'", '"', ",,", "a;b")
    path = fasta("".join(f">{name}\n1\n" for name in ids).encode())
    extract(path, mini, tmp_path / "out", progress=False)
    assert tuple(each.id for each in read_rejects(tmp_path / "out")) == ids
    for name in (*ids, "a\nb", "a\r\nb", "\r"):
        (cell, _), *none = csv.reader([*cells.line((name, 1)).splitlines(keepends=True)])
        assert (cells.unguard(cell), none) == (name, [])


def test_row_59_an_unknown_key_or_a_wrong_type(tmp_path: Path) -> None:
    demo = DEMO.read_text("utf-8").replace('= "data/', f'= "{DEMO.parent.as_posix()}/data/')
    path = tmp_path / "demo.toml"
    path.write_text(demo, "utf-8")
    assert read_spec(path).name == read_spec(DEMO).name
    for old, new, problem in (
        ("[candidate]\n", "[candidate]\nembeder = 1\n", "'candidate.embeder'; did you mean 'emb"),
        ("[gates]\n", "[gates]\nspeed_up_at_least = 2\n", "did you mean 'speedup_at_least'"),
        ("folds = ", "folds = true #", "classification.folds: expected int, got True"),
        ("name = ", "name = 7 #", "expected str, got 7"),
    ):
        assert old in demo
        path.write_text(demo.replace(old, new, 1), "utf-8")
        with pytest.raises(SpecError) as refused:
            read_spec(path)
        assert problem in str(refused.value)
        assert str(path) in str(refused.value)
