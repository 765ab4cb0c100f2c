"""``harness attention``: files equal to safetensors' own, and what is refused beforehand."""

from __future__ import annotations

import io
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.image import imread
from safetensors import safe_open
from safetensors.torch import save

from embedders import Embedder, Heads, InputError, Truncation, checkpoint, load, read_attention
from embedders.attention_maps import Selection
from harness import attention, attention_commands, provenance
from harness.attention import Plan, Stored, room
from harness.attention.files import panel_of
from harness.report import maps_picture
from tests.bundled import write_fasta
from tests.command_line import run_alone

PROTEINS = {
    "../../x/y": "MKTAYIAKQRQISFVKSHFSRQ",
    "sp|P1|A": "mktay-iakq*",
    "one": "M",
    "long": "MKTAYIAKQRQISFVKSHFSRQ" * 50,
    "stop": "MK*TAY",
    "none": "",
}
FASTA_TEXT = "".join(f">{name} of no matter\n{text}\n" for name, text in PROTEINS.items())
ALL = Selection((1, 2, 3, 4))
ALL_OF_650M = Selection(tuple(range(1, 34)))


@pytest.fixture(scope="module")
def fasta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("attention") / "in.faa"
    path.write_text(FASTA_TEXT, "ascii")
    return path


@cache
def eager(**options: Any) -> Embedder:  # noqa: ANN401 - those of load
    chosen = {"runtime": "huggingface", "attention": "eager", "device": "cpu"} | options
    return load("mini-candidate", **chosen)


@cache
def origin() -> provenance.Provenance:
    from datetime import UTC, datetime  # noqa: PLC0415

    return provenance.collect("harness attention", (), datetime.now(UTC))


def plan(fasta: Path, *ids: str, **choices: Any) -> Plan:  # noqa: ANN401 - those of Plan
    chosen = {"selection": ALL} | choices
    return Plan(checkpoint("mini-candidate"), attention.choose(fasta, ids), **chosen)


def of_650m(residues: int, **choices: Any) -> Plan:  # noqa: ANN401 - those of Plan
    chosen = {"selection": ALL_OF_650M} | choices
    records = (attention.Chosen("a", 7, "M" * residues),)
    return Plan(checkpoint("esm2-650m"), records, **chosen)


def written(planned: Plan, folder: Path, embedder: Embedder | None = None) -> attention.Index:
    return attention.write_maps(planned, embedder or eager(), folder, origin(), progress=False)


@pytest.mark.parametrize("heads", Heads)
@pytest.mark.parametrize("stored", Stored)
def test_a_file_is_the_librarys_own_to_the_byte(
    fasta: Path, tmp_path: Path, heads: Heads, stored: Stored
) -> None:
    planned = plan(fasta, "sp|P1|A", selection=Selection((2, 3), heads), stored=stored)
    index = written(planned, tmp_path)
    found = (tmp_path / index.records[0].file).read_bytes()
    with safe_open(tmp_path / index.records[0].file, framework="pt") as opened:
        about = opened.metadata()
    maps = read_attention(eager(), PROTEINS["sp|P1|A"], layers=(2, 3), heads=heads).weights
    dtype = torch.float32 if stored is Stored.FLOAT32 else torch.float16
    assert found == save({attention.TENSOR: maps.to(dtype)}, about)


def test_a_file_says_whose_maps_it_holds(fasta: Path, tmp_path: Path) -> None:
    written(plan(fasta, "../../x/y"), tmp_path)
    with safe_open(tmp_path / "map-1.safetensors", framework="pt") as opened:
        about = json.loads(opened.metadata()[attention.TENSOR])
    assert about["id"] == "../../x/y"
    assert about["residues"] == PROTEINS["../../x/y"]
    assert about["layers"] == [1, 2, 3, 4]
    assert about["weights_sha256"] == eager().spec.weights.sha256


def test_the_index_tells_records_files_and_hashes_in_the_order_asked(
    fasta: Path, tmp_path: Path
) -> None:
    written(plan(fasta, "one", "../../x/y"), tmp_path)
    index = json.loads((tmp_path / attention.INDEX_FILE).read_text("utf-8"))
    assert [each["id"] for each in index["records"]] == ["one", "../../x/y"]
    assert [each["number"] for each in index["records"]] == [3, 1]
    assert [each["shape"] for each in index["records"]] == [[4, 3, 3, 3], [4, 3, 24, 24]]
    named = {attention.INDEX_FILE}
    for each in index["records"]:
        file = tmp_path / each["file"]
        assert each["bytes"] == file.stat().st_size
        assert each["sha256"] == provenance.sha256(file)
        named |= {each["file"], each["picture"]}
    # an id is part of no path, and nothing else lies there
    assert {each.name for each in tmp_path.iterdir()} == named
    assert index["embedder"]["attention"] == "eager"
    assert len(index["axes"]) == 4


def test_what_beyond_the_window_was_left_out_is_recorded(fasta: Path, tmp_path: Path) -> None:
    mean = Selection((4,), Heads.MEAN)
    cut = written(plan(fasta, "long", selection=mean), tmp_path / "cut").records[0]
    assert (cut.residues, cut.entered, cut.shape) == (1_100, 1_024, (1, 1, 1_026, 1_026))
    legacy = plan(fasta, "long", selection=mean, truncation=Truncation.LEGACY)
    whole = written(legacy, tmp_path / "whole", eager(truncation="legacy")).records[0]
    assert (whole.residues, whole.entered, whole.shape) == (1_100, 1_100, (1, 1, 1_102, 1_102))


def test_the_bytes_said_beforehand_are_those_of_the_tensors(fasta: Path, tmp_path: Path) -> None:
    planned = plan(fasta, "one", "sp|P1|A", stored=Stored.FLOAT16)
    index = written(planned, tmp_path)
    tensors = 0
    for each in index.records:
        with safe_open(tmp_path / each.file, framework="np") as opened:
            tensors += opened.get_tensor(attention.TENSOR).nbytes
    assert planned.disk_bytes == tensors


def test_the_figures_of_the_650m_model_are_those_of_the_formula() -> None:
    # 33 layers · 20 heads · 1,026² · 4 bytes; weights 649,400,320 · 4; two maps of 20 heads
    assert of_650m(1_024).disk_bytes == 2_779_064_640
    assert of_650m(1_024).memory_bytes == 2_597_601_280 + 2 * 20 * 1_026**2 * 4
    assert of_650m(5_000).disk_bytes == 2_779_064_640
    legacy = of_650m(5_000, truncation=Truncation.LEGACY)
    assert legacy.disk_bytes == 33 * 20 * 5_002**2 * 4


def test_what_the_disk_cannot_hold_is_refused_with_what_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = torch.device("cpu")
    monkeypatch.setattr(room, "free_bytes", lambda _: 2_000_000_000)
    monkeypatch.setattr(room, "_free_memory", lambda _: (10**12, "the host"))
    with pytest.raises(InputError, match="2,779,064,640 bytes, and 2,000,000,000") as error:
        attention.check_room(of_650m(1_024), tmp_path, device)
    said = str(error.value)
    assert "--heads mean takes 138,953,232" in said
    assert "--keep-layers 33 takes 84,214,080" in said
    assert "--store float16 takes 1,389,532,320" in said
    monkeypatch.setattr(room, "free_bytes", lambda _: 1_000)
    with pytest.raises(InputError, match="fewer records"):
        attention.check_room(of_650m(1_024), tmp_path, device)


def test_what_memory_cannot_hold_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    least = of_650m(1_024).memory_bytes
    monkeypatch.setattr(room, "free_bytes", lambda _: 10**12)
    for free, refused in ((least, False), (least - 1, True)):
        monkeypatch.setattr(room, "_free_memory", lambda _, free=free: (free, "the host"))
        if refused:
            with pytest.raises(InputError, match=r"record 7 \('a'\).*1,026 tokens"):
                attention.check_room(of_650m(1_024), tmp_path, torch.device("cpu"))
        else:
            attention.check_room(of_650m(1_024), tmp_path, torch.device("cpu"))


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        (["one", "two", "three"], "no record has these ids, 2: 'two', 'three'"),
        (["one", "long", "one"], "more than once, 1: 'one'"),
        ([], "no id is given"),
        (["stop", "one", "none"], r"record 5 \('stop'\): stop .* record 6 \('none'\): no sequence"),
    ],
)
def test_records_that_cannot_be_mapped_are_all_named(
    fasta: Path, ids: list[str], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        attention.choose(fasta, ids)


def test_a_fault_behind_the_chosen_records_shows(tmp_path: Path) -> None:
    path = write_fasta(tmp_path / "twice.faa", {"a": "MK"})
    path.write_text(path.read_text("ascii") + ">b\nMK\n>b\nMV\n", "ascii")
    with pytest.raises(InputError, match="the id comes a second time"):
        attention.choose(path, ["a"])


def test_ids_are_read_from_any_text_file(tmp_path: Path) -> None:
    path = tmp_path / "ids.txt"
    path.write_bytes("\ufeffsp|P1|A\r\n\r\n  one \r\n".encode())
    assert attention.read_ids(path) == ["sp|P1|A", "one"]
    path.write_bytes(b"\xff\xfeo\0n\0")
    with pytest.raises(InputError, match="no UTF-8 text"):
        attention.read_ids(path)


class Failing:
    """An embedder that fails at its second sequence, or gives what is no number."""

    def __init__(self, failure: Exception | None) -> None:
        self.spec, self.encoder = eager().spec, eager().encoder  # type: ignore[attr-defined]
        self.failure = failure
        self.calls = 0

    def embed(self, sequences: list[str]) -> torch.Tensor:
        self.calls += 1
        vectors = eager().embed(sequences)
        if self.calls < 2:
            return vectors
        if self.failure is None:
            return vectors * torch.nan
        raise self.failure


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (torch.OutOfMemoryError("of the device"), r"record 1 \('../../x/y'\): out of memory"),
        (None, r"record 1 \('../../x/y'\): values are not finite in float32"),
        (RuntimeError("shapes"), "shapes"),
    ],
)
def test_a_map_that_fails_leaves_whole_files_and_no_index(
    fasta: Path, tmp_path: Path, failure: Exception | None, said: str
) -> None:
    broken: Any = Failing(failure)
    with pytest.raises((InputError, RuntimeError), match=said):
        written(plan(fasta, "one", "../../x/y"), tmp_path, broken)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["map-1.png", "map-1.safetensors"]


def test_maps_never_replace_what_is_there_and_need_the_plans_embedder(
    fasta: Path, tmp_path: Path
) -> None:
    (tmp_path / "kept").touch()
    with pytest.raises(InputError, match="results are never replaced"):
        written(plan(fasta, "one"), tmp_path)
    with pytest.raises(InputError, match="the plan is for"):
        written(plan(fasta, "one"), tmp_path / "new", eager(truncation="legacy"))
    assert not (tmp_path / "new").exists()


def test_a_panel_shows_residues_alone_in_multiples_of_an_even_spread() -> None:
    even = torch.full((2, 12, 12), 1 / 12)
    assert np.allclose(panel_of(even), np.ones((10, 10)))
    assert panel_of(torch.full((1, 1_026, 1_026), 1 / 1_026)).shape == (256, 256)
    corner = torch.zeros(1, 6, 6)
    corner[0, 0, :], corner[0, :, 5], corner[0, 1, 4] = 9, 9, 0.5
    assert panel_of(corner)[0].tolist() == [0, 0, 0, 3]


def test_a_picture_is_a_png_on_white_and_the_same_each_time() -> None:
    panels = [(layer, np.ones((3, 3), np.float32)) for layer in range(1, 8)]
    first, again = (
        maps_picture(panels, residues=3, title="$a$\n\x1b[2J", subtitle="of 7 layers")
        for _ in range(2)
    )
    assert first == again
    pixels = imread(io.BytesIO(first))
    assert np.array_equal(pixels[0, 0], np.ones(4))
    assert (pixels.std(axis=(0, 1)) > 0).any()


def run(*arguments: str) -> int:
    return run_alone(attention_commands, "attention", *arguments, "--device", "cpu")


def test_the_command_says_what_it_takes_and_what_it_wrote(
    fasta: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = tmp_path / "ids.txt"
    ids.write_text("one\n../../x/y\n", "ascii")
    chosen = ("--embedder", "mini-candidate", "--ids-from", str(ids), "--heads", "mean")
    folder = tmp_path / "out"
    assert run(str(fasta), *chosen, "--keep-layers", "2,4", "-o", str(folder)) == 0
    shown = capsys.readouterr().out.splitlines()
    assert f"{2 * (3**2 + 24**2) * 4:,} bytes of maps in float32" in shown[0]
    assert "map-2.safetensors  ../../x/y: 22 residues, 2 × 1 × 24 × 24 values" in shown
    index = json.loads((folder / attention.INDEX_FILE).read_text("utf-8"))
    assert [name for name, _ in index["provenance"]["inputs"]] == ["in.faa", "ids.txt"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--embedder", "kmer4", "--ids", "one"), "kmer4 is no ESM-2"),
        (("--embedder", "mini-candidate", "--ids", "two"), "no record has these ids"),
        (("--embedder", "mini-candidate", "--ids", "one", "--dtype", "float16"), "float16 on a"),
        (("--embedder", "mini-candidate", "--ids", "one", "--keep-layers", "5"), "layers 1 to 4"),
    ],
)
def test_what_cannot_be_mapped_is_refused_before_anything_is_written(
    fasta: Path, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        run(str(fasta), *arguments, "-o", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
