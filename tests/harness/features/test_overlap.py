"""Reading runs ahead of the embedder, writing behind it; the budget is found before both."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

import harness.features.extraction
import harness.features.store
from embedders import load
from embedders.contract import Cleaned
from embedders.errors import InputError
from harness.features import (
    EmbedderBroken,
    FolderError,
    Shard,
    StrictRejection,
    extract,
    open_folder,
    read_manifest,
    write_shard,
)
from harness.features.budget import Found
from harness.features.remembered import Tried

MakeEmbedder = Callable[..., Any]
LIMIT_S = 5.0  # for what must happen; nothing that happens takes as long


@pytest.fixture
def four(tmp_path: Path) -> Path:
    """Four records, one in each window of the tests."""
    path = tmp_path / "four.fa"
    path.write_text(">a\nMK\n>b\nMKK\n>c\nMKKK\n>d\nMKKKK\n")
    return path


def run(path: Path, embedder: Any, folder: Path, **options: Any) -> Any:  # noqa: ANN401
    return extract(path, embedder, folder, shard_size=1, progress=False, **options)


def watched(embedder: Any, before: Callable[[int], None]) -> None:  # noqa: ANN401
    """Call a function with the length of a batch's first sequence before the batch."""
    embed = embedder.embed

    def first(sequences: Sequence[str], *, tokens_per_batch: int = 4096) -> torch.Tensor:
        before(len(sequences[0]))
        vectors: torch.Tensor = embed(sequences, tokens_per_batch=tokens_per_batch)
        return vectors

    embedder.embed = first


def test_the_next_window_is_cleaned_while_one_is_embedded_and_no_further_one(
    tmp_path: Path, four: Path, make_embedder: MakeEmbedder
) -> None:
    embedder = make_embedder()
    clean = embedder.clean
    cleaned: list[int] = []
    ready = {length: threading.Event() for length in (2, 3, 4, 5)}

    def noted(sequence: str) -> Cleaned:
        cleaned.append(len(sequence))
        ready[len(sequence)].set()
        result: Cleaned = clean(sequence)
        return result

    def ahead(length: int) -> None:
        if length < 5:
            assert ready[length + 1].wait(LIMIT_S)
        assert max(cleaned) <= length + 1

    embedder.clean = noted
    watched(embedder, ahead)
    assert run(four, embedder, tmp_path / "out").embedded == 4


def test_a_window_is_written_while_the_next_one_is_embedded_and_commits_keep_their_order(
    tmp_path: Path, four: Path, make_embedder: MakeEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedding = {length: threading.Event() for length in (2, 3, 4, 5)}
    written: list[str] = []

    def late(path: Path, shard: Shard) -> None:
        length = int(shard.matrix[0, 0])
        if length < 5:
            assert embedding[length + 1].wait(LIMIT_S)  # the next window is at the embedder
        written.append(path.name)
        write_shard(path, shard)

    embedder = make_embedder()
    watched(embedder, lambda length: embedding[length].set())
    monkeypatch.setattr(harness.features.store, "write_shard", late)
    run(four, embedder, tmp_path / "out")
    assert written == [f"shard-0000{number}.pt" for number in range(4)]
    assert open_folder(tmp_path / "out").ids() == ("a", "b", "c", "d")


def test_a_window_that_was_embedded_is_written_although_the_next_one_ends_the_run(
    tmp_path: Path, four: Path, make_embedder: MakeEmbedder
) -> None:
    def breaks(length: int) -> None:
        if length != 2:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

    embedder = make_embedder()
    watched(embedder, breaks)
    with pytest.raises(EmbedderBroken, match=r"four\.fa, record 2 \('b'\): .*illegal memory"):
        run(four, embedder, tmp_path / "out")
    assert [each.file for each in read_manifest(tmp_path / "out").shards] == ["shard-00000.pt"]


def test_a_strict_run_that_ends_at_a_vector_keeps_the_windows_before_it(
    tmp_path: Path, make_embedder: MakeEmbedder
) -> None:
    path = tmp_path / "in.fa"
    path.write_text(">a\nMK\n>b\nZ\n>c\nMK\n")
    with pytest.raises(StrictRejection, match=r"record 2 \('b'\): its embedding"):
        run(path, make_embedder(), tmp_path / "out", strict=True)
    assert len(read_manifest(tmp_path / "out").shards) == 1


def test_a_full_disk_is_told_before_the_window_behind_it_is_written(
    tmp_path: Path, four: Path, make_embedder: MakeEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def full(path: Path, shard: Shard) -> None:
        tried.append(path.name)
        if path.name != "shard-00000.pt":
            raise OSError(28, "No space left on device")
        write_shard(path, shard)

    monkeypatch.setattr(harness.features.store, "write_shard", full)
    embedder = make_embedder()
    with pytest.raises(FolderError, match=r"No space left on device.*1 shards .* are safe"):
        run(four, embedder, tmp_path / "out")
    assert tried == ["shard-00000.pt", "shard-00001.pt"]
    assert len(embedder.batches) <= 3  # one window was embedded meanwhile, no more


class Finder:
    """Stands in for the search, and counts how often it is asked."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.asked = 0

    def __call__(self, records: Any, count: int, embedder: Any) -> Found:  # noqa: ANN401
        del embedder
        self.asked += 1
        assert len(list(records)) == count
        return Found(self.budget, (Tried(self.budget, 1000.0),), "it was the best")


def searching(monkeypatch: pytest.MonkeyPatch, budget: int) -> Finder:
    finder = Finder(budget)
    monkeypatch.setattr(harness.features.extraction, "find_budget", finder)
    return finder


def test_a_budget_that_is_left_open_is_found_recorded_and_told(
    tmp_path: Path, four: Path, make_embedder: MakeEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    finder = searching(monkeypatch, 12)
    summary = extract(four, make_embedder(), tmp_path / "out", tokens_per_batch=None)
    assert finder.asked == 1
    assert summary.tokens_per_batch == 12
    sentence = "12 tokens per batch: it was the best (12 gave 1,000 tokens/s)"
    assert summary.events == (sentence,)
    lines = (tmp_path / "out" / "journal.jsonl").read_text("utf-8").splitlines()
    (line,) = (each for each in map(json.loads, lines) if each["event"] == "token budget")
    assert (line["taken"], line["tokens_per_s"]) == (12, {"12": 1000.0})
    manifest = read_manifest(tmp_path / "out")
    assert manifest.budget is not None
    assert (manifest.budget.asked, manifest.budget.in_force) == (12, 12)


def test_a_resumed_run_keeps_the_budget_of_its_folder_whatever_a_search_would_say(
    tmp_path: Path, four: Path, make_embedder: MakeEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(length: int) -> None:
        if length == 2:
            raise KeyboardInterrupt

    searching(monkeypatch, 12)
    whole = make_embedder()
    extract(four, whole, tmp_path / "whole", tokens_per_batch=None, progress=False)
    assert whole.batches == [[5], [4, 3], [2]]  # of 12 tokens at most
    broken = make_embedder()
    watched(broken, lambda _: stop(2))
    with pytest.raises(KeyboardInterrupt):
        extract(four, broken, tmp_path / "out", tokens_per_batch=None, progress=False)
    assert read_manifest(tmp_path / "out").windows == ()
    another = searching(monkeypatch, 4096)
    again = make_embedder()
    extract(four, again, tmp_path / "out", tokens_per_batch=None, progress=False)
    assert another.asked == 0
    assert again.batches == whole.batches
    for name in ("manifest.json", "shard-00000.pt"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_finished_folder_and_an_embedder_without_weights_need_no_search(
    tmp_path: Path, four: Path, make_embedder: MakeEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    finder = searching(monkeypatch, 12)
    extract(four, make_embedder(), tmp_path / "out", tokens_per_batch=100, progress=False)
    again = extract(four, make_embedder(), tmp_path / "out", tokens_per_batch=None, progress=False)
    assert again.tokens_per_batch == 100
    genes = tmp_path / "in.fna"
    genes.write_text(">g\nACGTTGCA\n")
    plain = extract(genes, load("kmer4"), tmp_path / "dna", tokens_per_batch=None, progress=False)
    assert (plain.tokens_per_batch, plain.events) == (4096, ())
    assert finder.asked == 0


def test_a_number_is_taken_as_it_is(
    tmp_path: Path, four: Path, make_embedder: MakeEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    finder = searching(monkeypatch, 4096)
    embedder = make_embedder()
    summary = extract(four, embedder, tmp_path / "out", tokens_per_batch=12, progress=False)
    assert (summary.tokens_per_batch, summary.events, finder.asked) == (12, (), 0)
    with pytest.raises(InputError, match="tokens_per_batch must be at least 1"):
        extract(four, embedder, tmp_path / "none", tokens_per_batch=0)
