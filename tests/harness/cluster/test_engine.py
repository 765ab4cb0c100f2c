"""Ray on this machine makes what one process makes; each run costs seconds, so they are few."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from embedders import load
from harness.cli import main
from harness.cluster import RayEngine
from harness.features import EmbedderBroken, extract, extract_by, read_manifest, read_rejects
from tests.bundled import shortest, write_fasta
from tests.harness.cluster.fragile import NEMESIS, POISON, SELFISH, Fragile

pytestmark = pytest.mark.usefixtures("ray_here")
Contents = Callable[[Path], dict[str, bytes]]
BUDGET = 2048


def forget(folder: Path, *numbers: int) -> None:
    """Leave a folder as a run that was killed does: without some windows, and unfinished."""
    for number in numbers:
        for path in folder.glob(f"*-{number:05d}.*"):
            path.unlink()
    (folder / "rejects.csv").unlink()


def events(folder: Path) -> list[str]:
    lines = map(json.loads, (folder / "journal.jsonl").read_text("utf-8").splitlines())
    return [line["what"] for line in lines if line["event"] == "handled"]


@pytest.fixture(scope="module")
def proteins(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Proteins, some not as they should be; made on Ray by two workers, and by one process."""
    folder = tmp_path_factory.mktemp("proteins")
    records = shortest(22)
    records |= {"low": "mktayiakqr", "digit": "MKT1", "stop": "MKTAYIAK*"}
    fasta = write_fasta(folder / "in.faa", records)
    # a runtime that starts without a second library to import, for it is started four times
    loader = partial(load, "mini-candidate", runtime="packed")
    with RayEngine(loader, workers=2) as engine:
        extract_by(engine, fasta, folder / "ray", shard_size=5, progress=False)
    extract(fasta, loader(), folder / "one", shard_size=5, progress=False)
    return fasta, folder / "ray", folder / "one"


def test_two_workers_on_ray_make_the_bytes_of_one_process(
    proteins: tuple[Path, Path, Path], contents: Contents
) -> None:
    _, on_ray, by_one = proteins
    assert set(contents(by_one)) == {
        "manifest.json",
        "rejects.csv",
        "rejects-00004.csv",
        *(f"shard-0000{number}.pt" for number in range(5)),
    }
    assert contents(on_ray) == contents(by_one)
    assert events(on_ray) == events(by_one) == []


def test_one_process_ends_what_ray_began(
    tmp_path: Path, proteins: tuple[Path, Path, Path], contents: Contents
) -> None:
    fasta, on_ray, by_one = proteins
    shutil.copytree(on_ray, tmp_path / "out")
    forget(tmp_path / "out", 1, 4)
    embedder = load("mini-candidate", runtime="packed")
    summary = extract(fasta, embedder, tmp_path / "out", shard_size=5, progress=False)
    assert summary.resumed == 15
    assert contents(tmp_path / "out") == contents(by_one)


def test_one_worker_on_ray_ends_what_one_process_began(
    tmp_path: Path, contents: Contents, capsys: pytest.CaptureFixture[str]
) -> None:
    fasta = tmp_path / "in.fna.gz"
    genes = "".join(f">g{n}\n{'ACGTTGCAAG' * (n % 5 + 1)}{'TCA' * n}\n" for n in range(11))
    fasta.write_bytes(gzip.compress(genes.encode("ascii")))
    command = ["embed", str(fasta), "--embedder", "kmer4", "--shard-size", "3"]
    command += ["--format", "safetensors", "-o"]
    assert main([*command, str(tmp_path / "one")]) == 0
    shutil.copytree(tmp_path / "one", tmp_path / "ray")
    forget(tmp_path / "ray", 0, 3)
    capsys.readouterr()
    assert main([*command, str(tmp_path / "ray"), "--engine", "ray", "--workers", "1"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("11 records = 11 embedded + 0 rejected; ")
    assert "6 of them were done before" in said.out
    assert said.err == ""
    assert contents(tmp_path / "ray") == contents(tmp_path / "one")


def test_a_killed_actor_costs_the_windows_it_had_and_a_record_that_kills_its_process_itself(
    tmp_path: Path, contents: Contents
) -> None:
    records = {f"r{n}": "MKTAYIAK" + "A" * n for n in range(12)}
    records["r3"], records["r5"], records["r7"] = POISON, NEMESIS, SELFISH
    fasta = write_fasta(tmp_path / "in.faa", records)
    scars = tmp_path / "scars"
    scars.mkdir()
    options: dict[str, Any] = {"shard_size": 2, "tokens_per_batch": 1, "progress": False}
    extract(fasta, Fragile(scars, 0), tmp_path / "one", **options)
    with RayEngine(partial(Fragile, scars, 1), workers=2) as engine:
        summary = extract_by(engine, fasta, tmp_path / "ray", **options)
    assert len(list(scars.iterdir())) == 1
    assert (summary.records, summary.embedded, summary.rejected) == (12, 10, 2)
    shards = [each for each in contents(tmp_path / "one") if each.startswith("shard")]
    assert shards == [each for each in contents(tmp_path / "ray") if each.startswith("shard")]
    for name in shards:
        assert (tmp_path / "ray" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()
    digested, killed = read_rejects(tmp_path / "ray")
    assert (digested, killed.id) == (read_rejects(tmp_path / "one")[0], "r7")
    assert "memory runs out" in killed.reason  # as the kernel ends what takes too much
    told = " ".join(events(tmp_path / "ray"))
    assert "5 to 6" in told
    assert "lost with a worker, and made again" in told
    assert "signal 9 (Killed) at a batch of 1 sequence" in told


@pytest.mark.slow
def test_a_window_that_takes_every_worker_along_is_named_and_all_others_are_made(
    tmp_path: Path,
) -> None:
    records = {f"r{n}": "MKTAYIAK" for n in range(6)} | {"r3": NEMESIS}
    fasta = write_fasta(tmp_path / "in.faa", records)
    scars = tmp_path / "scars"
    scars.mkdir()
    with (
        RayEngine(partial(Fragile, scars, 99), workers=1) as engine,
        pytest.raises(EmbedderBroken, match=r"in\.faa, records 4 to 4: no worker came back"),
    ):
        extract_by(engine, fasta, tmp_path / "out", shard_size=1, progress=False)
    manifest = read_manifest(tmp_path / "out")
    assert [window.number for window in manifest.windows] == [0, 1, 2, 4, 5]
    # in the first round, in one that brings what was lost beside it, and in two that bring nothing
    assert 3 <= len(list(scars.iterdir())) <= 4
