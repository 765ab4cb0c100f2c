"""Rows 1 to 24 of docs/promises.md: crashes, disks, memory."""

from __future__ import annotations

import ctypes
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import harness.files
from embedders import Cleaned, Embedder, EmbedderSpec, Truncation, load
from embedders.contract import WeightsIdentity
from harness.cli import main
from harness.features import (
    EmbedderBroken,
    FeaturesError,
    FolderError,
    Kind,
    ManifestError,
    MergeError,
    Part,
    Shard,
    ShardCorrupt,
    Worker,
    WorkerHung,
    extract,
    merge,
    open_folder,
    read_manifest,
    read_rejects,
    read_shard,
    write_shard,
)
from harness.features.manifest import Manifest, Source
from harness.features.store import open_store
from tests.bundled import shortest, write_fasta
from tests.faults.broken_off import MOMENTS
from tests.harness.features.broken_embedders import BrokenEmbedder

ROOT = Path(__file__).parents[2]
NOT_COMPARED = {"journal.jsonl"}  # when and where a run took place
TEN = shortest(10)
SMALL_DISK_BYTES = 2 << 20
MEMORY_WORDS = "CUDA out of memory. Tried to allocate 9 GiB"


def content_of(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.iterdir() if path.is_file())
    return {path.name: path.read_bytes() for path in files if path.name not in NOT_COMPARED}


def vectors_of(folder: Path) -> dict[str, torch.Tensor]:
    return {
        each: row
        for block in open_folder(folder).blocks()
        for each, row in zip(block.ids, block.matrix, strict=True)
    }


def python(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


@dataclass(frozen=True)
class Moody:
    """An embedder that fails on batches that a function finds fault with."""

    whole: Embedder
    fail: Callable[[Sequence[str]], None]
    batches: list[int]

    @property
    def spec(self) -> EmbedderSpec:
        return self.whole.spec

    def clean(self, sequence: str) -> Cleaned:
        return self.whole.clean(sequence)

    def embed(self, sequences: Sequence[str], *, tokens_per_batch: int = 4096) -> torch.Tensor:
        self.fail(sequences)
        self.batches.append(len(sequences))
        return self.whole.embed(sequences, tokens_per_batch=tokens_per_batch)


@pytest.fixture(scope="module")
def ten(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten short real proteins as FASTA."""
    return write_fasta(tmp_path_factory.mktemp("ten") / "ten.fa", TEN)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory, ten: Path, mini: Embedder) -> Path:
    """Their embeddings by a run that nothing disturbs: four shards, the last of one record."""
    folder = tmp_path_factory.mktemp("unbroken") / "out"
    extract(ten, mini, folder, shard_size=3, progress=False)
    return folder


@pytest.fixture
def folder(unbroken: Path, tmp_path: Path) -> Path:
    """A copy of that folder, to be damaged."""
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in unbroken.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    return copy


def resume(ten: Path, mini: Embedder, folder: Path, unbroken: Path) -> None:
    """Run again, and find what an unbroken run gives, byte for byte."""
    extract(ten, mini, folder, shard_size=3, progress=False)
    assert content_of(folder) == content_of(unbroken)


@pytest.fixture(scope="module")
def broken_off(tmp_path_factory: pytest.TempPathFactory, ten: Path) -> Path:
    """Return a folder with one folder for each moment, whose run was killed at it."""
    folder = tmp_path_factory.mktemp("broken-off")
    done = python("-m", "tests.faults.broken_off", ten, folder)
    assert done.returncode == 0, done.stderr
    for moment in MOMENTS:
        with pytest.raises(ManifestError, match="has not finished"):
            open_folder(folder / moment)
    return folder


def test_row_01_killed_in_the_middle_of_a_shard(
    ten: Path, mini: Embedder, unbroken: Path, broken_off: Path
) -> None:
    out = broken_off / "half-shard"
    visible = {path.name for path in out.glob("[!.]*")}
    assert visible == {"journal.jsonl", "manifest.json", "shard-00000.pt"}
    halves = list(out.glob(f".*{harness.files.PARTIAL_SUFFIX}"))
    assert len(halves) == 1  # the fault was there
    resume(ten, mini, out, unbroken)
    assert not halves[0].exists()


@pytest.mark.parametrize("moment", ["before-manifest", "half-manifest"])
def test_row_02_killed_between_shard_and_manifest(
    ten: Path, mini: Embedder, unbroken: Path, broken_off: Path, moment: str
) -> None:
    out = broken_off / moment
    assert (out / "shard-00001.pt").exists()
    assert len(read_manifest(out).shards) == 1
    resume(ten, mini, out, unbroken)


@pytest.mark.parametrize(
    ("kills", "proteins", "windows_of"),
    [
        (20, 1000, 10),
        pytest.param(200, 3000, 5, marks=[pytest.mark.slow, pytest.mark.weights]),
    ],
    ids=["twenty", "two-hundred"],
)
def test_row_03_killed_at_random_moments(
    tmp_path: Path, kills: int, proteins: int, windows_of: int, request: pytest.FixtureRequest
) -> None:
    wanted = shortest(proteins)
    options: list[object] = ["--kills", kills, "--seed", random.randrange(10**6)]
    # small windows, so that some of them are finished between two kills
    options += ["--shard-size", windows_of]
    if kills > 20:
        weights = request.getfixturevalue("esm2_8m_folder")
        options += ["--embedder", "esm2-8m", "--weights", weights]
    fasta = write_fasta(tmp_path / "in.fa", wanted)
    done = python("-m", "tests.faults.killing", fasta, tmp_path, *options)
    assert done.returncode == 0, (options, done.stderr)
    report = json.loads(done.stdout)
    assert report["kills"] == kills
    assert report["stood"][0][-1] > 0  # the kills came at work
    whole = content_of(tmp_path / "unbroken")
    assert list(vectors_of(tmp_path / "unbroken")) == list(wanted)
    for number, stood in enumerate(report["stood"], start=1):
        assert content_of(tmp_path / f"killed-{number}") == whole, options
        assert stood == sorted(stood)  # what stood once stands


def test_row_04_power_loss(
    ten: Path, mini: Embedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Simulated: the order of flushes and renames is watched, no power is cut."""
    steps: list[str] = []
    fsync, rename = os.fsync, Path.replace

    def flush(descriptor: int) -> None:
        inode = os.fstat(descriptor).st_ino
        out = tmp_path / "out"
        named = {path.stat().st_ino: path.name for path in (out, *out.iterdir())}
        steps.append(f"flush {named[inode]}")
        fsync(descriptor)

    def replace_file(self: Path, target: Path) -> Path:
        steps.append(f"{self.name} becomes {Path(target).name}")
        return rename(self, target)

    (tmp_path / "out").mkdir()
    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(Path, "replace", replace_file)
    extract(ten, mini, tmp_path / "out", progress=False)
    for name in ("shard-00000.pt", "rejects.csv", "manifest.json"):
        place = max(i for i, step in enumerate(steps) if step.endswith(f"becomes {name}"))
        partial = steps[place].partition(" ")[0]
        assert steps[place - 1 : place + 2] == [f"flush {partial}", steps[place], "flush out"]
    order = [step.partition(" becomes ")[2] for step in steps if " becomes " in step]
    assert order == [
        *("manifest.json", "shard-00000.pt", "manifest.json", "rejects.csv", "manifest.json")
    ]


LIMITED = """
import resource, sys
from harness.cli import main
limit, *arguments = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
sys.exit(main(arguments))
"""
"""The command under a limit on the size of any file it writes, in a process of its own."""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path | None]:
    """A small file system in memory; None where this process may not mount one."""
    libc = ctypes.CDLL(None, use_errno=True)
    place = tmp_path / "disk"
    place.mkdir()
    if not hasattr(libc, "mount") or sys.platform != "linux":
        yield None
        return
    failed = libc.mount(
        b"tmpfs", str(place).encode(), b"tmpfs", 0, f"size={SMALL_DISK_BYTES}".encode()
    )
    yield None if failed else place
    if not failed:
        libc.umount2(str(place).encode(), 2)


def test_row_05_disk_full(
    tmp_path: Path, small_disk: Path | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both ways: a limit on the size of a file (everywhere), and a small disk (where allowed)."""
    genes = write_fasta(tmp_path / "in.fna", {f"g{n}": "ACGTTGCA" * 9 for n in range(1800)})

    def command(place: Path) -> list[str]:
        options = ["--embedder", "kmer4", "--shard-size", "1000", "-o", str(place)]
        return ["embed", str(genes), *options]

    assert main(command(tmp_path / "whole")) == 0
    first, second = (path.stat().st_size for path in sorted((tmp_path / "whole").glob("*.pt")))
    assert second < first
    limited = python("-c", LIMITED, first - 1, *command(tmp_path / "limited"))
    full = [(limited.returncode, limited.stderr)]
    if small_disk is not None:
        assert first < SMALL_DISK_BYTES < first + second
        capsys.readouterr()
        full.append((main(command(small_disk / "out")), capsys.readouterr().err))
        kept = small_disk / "out" / "shard-00000.pt"
        assert kept.read_bytes() == (tmp_path / "whole" / kept.name).read_bytes()
        assert not list((small_disk / "out").glob(f"*{harness.files.PARTIAL_SUFFIX}"))
    for code, said in full:
        assert code == 2
        line = said.strip().splitlines()[-1]
        assert "File too large" in line or "No space left on device" in line
        assert "free some disk, and run the same command again" in line
    assert main(command(tmp_path / "limited")) == 0
    assert content_of(tmp_path / "limited") == content_of(tmp_path / "whole")


def damage(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(ShardCorrupt, match=f"{name}: .*make it again"):
        open_folder(folder).ids()


def flipped(content: bytes) -> bytes:
    changed = bytearray(content)
    changed[len(changed) // 2] ^= 0x40
    return bytes(changed)


def test_row_06_one_flipped_bit_in_a_pt_file(
    ten: Path, mini: Embedder, unbroken: Path, folder: Path
) -> None:
    path = folder / "shard-00002.pt"
    damage(folder, path.name, flipped(path.read_bytes()))
    assert read_shard(path).width == 96  # nothing but the hash tells
    bad = path.read_bytes()
    resume(ten, mini, folder, unbroken)
    assert (folder / "set-aside" / "shard-00002.pt.1").read_bytes() == bad


def test_row_07_one_flipped_bit_in_a_safetensors_file(
    ten: Path, mini: Embedder, tmp_path: Path
) -> None:
    for name in ("out", "whole"):
        extract(ten, mini, tmp_path / name, shard_format="safetensors", progress=False)
    path = tmp_path / "out" / "shard-00000.safetensors"
    damage(tmp_path / "out", path.name, flipped(path.read_bytes()))
    assert read_shard(path).width == 96
    extract(ten, mini, tmp_path / "out", shard_format="safetensors", progress=False)
    assert content_of(tmp_path / "out") == content_of(tmp_path / "whole")
    assert (tmp_path / "out" / "set-aside" / "shard-00000.safetensors.1").exists()


def test_row_08_a_truncated_shard(ten: Path, mini: Embedder, unbroken: Path, folder: Path) -> None:
    path = folder / "shard-00001.pt"
    whole = path.read_bytes()
    for length in (len(whole) - 1, len(whole) // 2, 3):
        damage(folder, path.name, whole[:length])
        with pytest.raises(ShardCorrupt):
            read_shard(path)
        resume(ten, mini, folder, unbroken)


@pytest.mark.parametrize("content", [b"", b"garbage " * 99, b"PK\x03\x04"])
def test_row_09_an_empty_or_garbage_shard(
    ten: Path, mini: Embedder, unbroken: Path, folder: Path, content: bytes
) -> None:
    damage(folder, "shard-00001.pt", content)
    with pytest.raises(ShardCorrupt):
        read_shard(folder / "shard-00001.pt")
    resume(ten, mini, folder, unbroken)


def test_row_10_a_folder_of_another_model_runtime_or_policy(
    ten: Path, mini: Embedder, folder: Path
) -> None:
    before = content_of(folder)
    spec = mini.spec
    others = {
        "embedder": replace(spec, name="esm2-3b"),
        "weights": replace(spec, weights=WeightsIdentity("folder", "7" * 64)),
        "runtime": replace(spec, runtime="fair-esm"),
        "dtype": replace(spec, dtype="bfloat16"),
        "truncation": replace(spec, truncation=Truncation.LEGACY),
        "cleaning policy": replace(spec, cleaning_policy="esm-clean-2"),
    }
    for name, other in others.items():
        changed = replace(mini, spec=other)  # type: ignore[type-var]
        with pytest.raises(FolderError, match=f"another run: {name} is "):
            extract(ten, changed, folder, shard_size=3, progress=False)
    with pytest.raises(FolderError, match="shard size is 3 there and 4 here"):
        extract(ten, mini, folder, shard_size=4, progress=False)
    assert content_of(folder) == before


def test_row_11_a_fasta_file_edited_since(
    ten: Path, mini: Embedder, folder: Path, tmp_path: Path
) -> None:
    before = content_of(folder)
    first = next(iter(TEN))
    edited = write_fasta(tmp_path / "ten.fa", TEN | {first: TEN[first] + "A"})
    os.utime(edited, ns=(ten.stat().st_atime_ns, ten.stat().st_mtime_ns))
    with pytest.raises(FolderError, match="another run: input is "):
        extract(edited, mini, folder, shard_size=3, progress=False)
    assert content_of(folder) == before


def test_row_12_out_of_memory_in_a_batch(
    ten: Path, mini: Embedder, unbroken: Path, tmp_path: Path
) -> None:
    """Injected; a real one on the CPU is in tests/harness/features/test_embedding.py."""

    def most_four(sequences: Sequence[str]) -> None:
        if len(sequences) > 4:
            raise torch.OutOfMemoryError(MEMORY_WORDS)

    moody = Moody(mini, most_four, [])
    summary = extract(ten, moody, tmp_path / "out", progress=False)
    assert summary.embedded == len(TEN)
    assert max(moody.batches) <= 4
    assert summary.tokens_per_batch < 4096
    # ten, then half of it or less, then half of that
    assert [event.partition(" (")[0] for event in summary.events] == [
        "memory ran out on cpu in a batch of 10 sequences",
        "memory ran out on cpu in a batch of 5 sequences",
    ]
    found, wanted = vectors_of(tmp_path / "out"), vectors_of(unbroken)
    assert list(found) == list(wanted)
    for name, vector in found.items():
        assert torch.allclose(vector, wanted[name], atol=1e-5)
    manifest = read_manifest(tmp_path / "out")
    assert manifest.budget is not None
    assert (manifest.budget.asked, manifest.budget.in_force) == (4096, summary.tokens_per_batch)


def test_row_13_out_of_memory_with_one_sequence(ten: Path, mini: Embedder, tmp_path: Path) -> None:
    long = max(TEN, key=lambda name: len(TEN[name]))

    def not_that_long(sequences: Sequence[str]) -> None:
        if TEN[long] in sequences:
            raise torch.OutOfMemoryError(MEMORY_WORDS)

    summary = extract(ten, Moody(mini, not_that_long, []), tmp_path / "out", progress=False)
    assert (summary.embedded, summary.rejected) == (len(TEN) - 1, 1)
    (reject,) = read_rejects(tmp_path / "out")
    assert reject.id == long
    assert f"memory runs out on cpu for its {len(TEN[long])} residues alone" in reject.reason


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_row_14_nan_or_infinity_in_an_embedding(
    ten: Path, mini: Embedder, tmp_path: Path, value: float
) -> None:
    bad = list(TEN)[4]

    class Overflowing(Moody):
        def embed(self, sequences: Sequence[str], *, tokens_per_batch: int = 4096) -> torch.Tensor:
            matrix = self.whole.embed(sequences, tokens_per_batch=tokens_per_batch)
            for row, text in enumerate(sequences):
                if text == TEN[bad]:
                    matrix[row, 3] = value
            return matrix

        @property
        def spec(self) -> EmbedderSpec:
            return replace(self.whole.spec, dtype="float16")

    extract(ten, Overflowing(mini, lambda _: None, []), tmp_path / "out", progress=False)
    assert bad not in vectors_of(tmp_path / "out")
    (reject,) = read_rejects(tmp_path / "out")
    assert reject.id == bad
    assert reject.reason.endswith("NaN or infinity; float16 overflows: use bfloat16")


def test_row_15_a_record_the_model_cannot_take(
    ten: Path, mini: Embedder, unbroken: Path, tmp_path: Path
) -> None:
    poison = list(TEN)[7]

    def not_this(sequences: Sequence[str]) -> None:
        if TEN[poison] in sequences:
            raise IndexError("index 1026 is out of range for positions")

    summary = extract(ten, Moody(mini, not_this, []), tmp_path / "out", progress=False)
    assert (summary.embedded, summary.rejected) == (len(TEN) - 1, 1)
    (reject,) = read_rejects(tmp_path / "out")
    assert (reject.id, reject.position) == (poison, 8)
    assert "index 1026 is out of range" in reject.reason
    wanted = vectors_of(unbroken)
    for name, vector in vectors_of(tmp_path / "out").items():
        assert torch.allclose(vector, wanted[name], atol=1e-5)

    def nothing_at_all(_: Sequence[str]) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    with pytest.raises(EmbedderBroken, match="no record is to blame"):
        extract(ten, Moody(mini, nothing_at_all, []), tmp_path / "none", progress=False)


def test_row_16_a_worker_hangs(tmp_path: Path) -> None:
    hanging = write_fasta(tmp_path / "in.fa", {"a": "MKV", "b": "HANG", "c": "MKT"})
    worker = Worker(BrokenEmbedder, timeout_s=0.5, retries=1)
    with closing(worker), pytest.raises(WorkerHung, match=r"2 times.*--batch-timeout") as hung:
        extract(hanging, worker, tmp_path / "out", progress=False)
    assert str(hung.value).startswith(f"{hanging}, among records 1 ('a') to 3 ('c')")
    journal = (tmp_path / "out" / "journal.jsonl").read_text("utf-8")
    assert "hung for 0.5 s; the worker was started again (retry 1 of 1)" in journal


def test_row_17_two_writers_on_one_folder(
    ten: Path, mini: Embedder, unbroken: Path, tmp_path: Path
) -> None:
    met: list[str] = []

    def meanwhile(_: Sequence[str]) -> None:
        if not met:
            done = python(
                *("-m", "harness.cli", "embed", ten, "--embedder", "mini-candidate"),
                *("-o", tmp_path / "out", "--shard-size", 3),
            )
            met.append(f"{done.returncode} {done.stderr}")

    extract(ten, Moody(mini, meanwhile, []), tmp_path / "out", shard_size=3, progress=False)
    assert met[0].startswith("2 ")
    assert f"is being written by process {os.getpid()} on " in met[0]
    assert content_of(tmp_path / "out") == content_of(unbroken)


def test_row_18_a_last_shard_shorter_than_the_others(unbroken: Path) -> None:
    assert [len(block.ids) for block in open_folder(unbroken).blocks()] == [3, 3, 3, 1]
    assert open_folder(unbroken).ids() == tuple(TEN)


def test_row_19_ten_times_the_input(tmp_path: Path) -> None:
    """K-mer frequencies, so that ten times the input is enough to show if any of it were kept."""
    count, width = 4_000, 136
    peaks = []
    for name, factor in (("once", 1), ("tenfold", 10)):
        records = {f"g{n}": "ACGTTGCAAGGCTTA"[n % 7 :] * 5 for n in range(factor * count)}
        fasta = write_fasta(tmp_path / f"{name}.fna", records)
        done = python("-m", "tests.faults.peak", fasta, tmp_path / name, 1000, "kmer4")
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout))
    assert len(open_folder(tmp_path / "tenfold").ids()) == 10 * count
    kept_bytes = 9 * count * width * 4
    assert kept_bytes > 0.05 * peaks[0]  # so the fault would show
    assert peaks[1] <= 1.05 * peaks[0], peaks


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_row_20_a_saved_view_of_a_batch(tmp_path: Path, suffix: str) -> None:
    batch = torch.randn(1000, 3840)
    write_shard(tmp_path / f"s.{suffix}", Shard(Kind.PROTEIN, ("a",), batch[7:8]))
    assert (tmp_path / f"s.{suffix}").stat().st_size < 3840 * 4 + 4096
    torch.save({"proteins": ["a"], "data": [batch[7]]}, tmp_path / "naive.pt")
    assert (tmp_path / "naive.pt").stat().st_size > 15e6  # the fault


def test_row_21_numpy_objects_in_a_shard(tmp_path: Path) -> None:
    ids = tuple(np.array(["a", "b"]))
    labels = np.array([0, 1])
    write_shard(tmp_path / "s.pt", Shard(Kind.MERGED, ids, torch.ones(2, 3), labels))
    content = torch.load(tmp_path / "s.pt", weights_only=True)
    plain = [*content["ids"], *content["labels"]]
    assert {type(each) for each in plain} == {str, int}


def original(path: Path, key: str, ids: Sequence[str]) -> Path:
    """Write a file as the original pipeline did."""
    rows = [torch.full((2,), float(number)) for number, _ in enumerate(ids)]
    data: list[Any] = list(rows)
    if key == "nucleotide":
        data = [
            {"label": name, "mean_representation": row.tolist()}
            for name, row in zip(ids, rows, strict=True)
        ]
    torch.save({key: list(ids), "data": data}, path)
    return path


def test_row_22_an_id_missing_on_one_side_of_a_merge(tmp_path: Path) -> None:
    dna = original(tmp_path / "dna.pt", "nucleotide", ["a", "b", "c"])
    protein = original(tmp_path / "protein.pt", "proteins", ["c", "a", "d"])
    with pytest.raises(MergeError) as refused:
        merge(dna, protein, tmp_path / "out")
    assert "protein side that are missing, 1: 'd'" in str(refused.value)
    assert "DNA side that are missing, 1: 'b'" in str(refused.value)
    assert not list((tmp_path / "out").glob("shard*"))


@pytest.mark.parametrize("side", ["dna", "protein"])
def test_row_23_an_id_twice_in_a_merge(tmp_path: Path, side: str) -> None:
    ids = {"dna": ["a", "b"], "protein": ["a", "b"], side: ["a", "b", "a"]}
    dna = original(tmp_path / "dna.pt", "nucleotide", ids["dna"])
    protein = original(tmp_path / "protein.pt", "proteins", ids["protein"])
    # within one file the file itself is at fault, across files the folder
    with pytest.raises((FeaturesError, ShardCorrupt), match="twice, 1: 'a'"):
        merge(dna, protein, tmp_path / "out")
    original(tmp_path / "dna.pt", "nucleotide", ["a", "b"])
    original(tmp_path / "protein.pt", "proteins", ["a", "b"])
    several = tmp_path / side
    several.mkdir()
    for name in ("1.pt", "2.pt"):
        (several / name).write_bytes((tmp_path / f"{side}.pt").read_bytes())
    sides = {"dna": tmp_path / "dna.pt", "protein": tmp_path / "protein.pt", side: several}
    with pytest.raises(MergeError, match="more than once, 2: 'a', 'b'"):
        merge(sides["dna"], sides["protein"], tmp_path / "out")


def merged_folder(path: Path, protein: str, width: int, rows: int) -> Path:
    """Write random merged features, DNA 768 wide first, half of them viral by name only."""
    parts = (
        Part("dnabert-s", Kind.NUCLEOTIDE, 768, "1" * 64),
        Part(protein, Kind.PROTEIN, width, "2" * 64),
    )
    plan = Manifest(Kind.MERGED, 768 + width, parts, None, (Source("x", "3" * 64, rows),), rows)
    generator = torch.Generator().manual_seed(width)
    matrix = torch.randn(rows, 768 + width, generator=generator)
    ids = tuple(f"{protein}-{number}" for number in range(rows))
    with open_store(path, plan) as store:
        labels = np.arange(rows, dtype=np.int64) % 2
        store.add(0, shard=Shard(Kind.MERGED, ids, matrix, labels))
        store.finish()
    return path


def test_row_24_a_classifier_of_other_features(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wide = merged_folder(tmp_path / "wide", "esm2-3b", 2560, 60)
    narrow = merged_folder(tmp_path / "narrow", "fastesm2-650", 1280, 4)
    assert main(["train", str(wide), "-o", str(tmp_path / "model")]) == 0
    scores = tmp_path / "scores.csv"
    capsys.readouterr()
    assert main(["predict", str(tmp_path / "model"), str(narrow), "-o", str(scores)]) == 2
    line = capsys.readouterr().err
    assert "dnabert-s (768) + esm2-3b (2560) = 3328 columns" in line
    assert "dnabert-s (768) + fastesm2-650 (1280) = 2048 columns" in line
    assert not scores.exists()


def test_rows_need_a_worker_that_equals_the_process(mini: Embedder) -> None:
    """The command embeds in a worker, these tests mostly without: both give the same bits."""
    with Worker(partial(load, "mini-candidate", device="cpu")) as worker:
        assert torch.equal(worker.embed(list(TEN.values())), mini.embed(list(TEN.values())))
