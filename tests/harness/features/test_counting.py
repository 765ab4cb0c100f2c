"""A bar of an extraction counts each record once, as soon as it is settled."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
from tqdm import tqdm

import harness.features.extraction
from embedders.contract import Embedder
from harness import features
from harness.features.embedding import embed_rows
from tests.harness.features.broken_embedders import BrokenEmbedder

MakeEmbedder = Callable[..., Embedder]


def test_batches_are_told_of_as_they_end(make_embedder: MakeEmbedder) -> None:
    told: list[int] = []
    embed_rows(["AAAA"] * 10, make_embedder(), 12, done=told.append)
    assert sum(told) == 10
    assert len(told) > 1


@pytest.mark.parametrize("fault", ["VALUE", "MEMORY"])
def test_a_record_that_is_left_out_counts_once(fault: str) -> None:
    told: list[int] = []
    done = embed_rows(["AAAA", fault, "CCCC"], BrokenEmbedder(), 1000, done=told.append)
    assert list(done.refused) == [1]
    assert sum(told) == 3


def test_the_bar_ends_at_the_number_of_records(
    tmp_path: Path, make_embedder: MakeEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    bars: list[tqdm[NoReturn]] = []

    def counting(total: int, unit: str, *, shown: bool | None) -> tqdm[NoReturn]:
        assert unit == "record"
        assert shown is None  # where a terminal wants it
        bars.append(tqdm(total=total, file=io.StringIO(), mininterval=0))
        return bars[-1]

    monkeypatch.setattr(harness.features.extraction, "counting", counting)
    fasta = tmp_path / "in.faa"
    fasta.write_text("".join(f">r{n}\n{'1' if n == 3 else 'ACDE'}\n" for n in range(7)), "utf-8")
    for _ in range(2):  # the second run finds everything there
        features.extract(fasta, make_embedder(), tmp_path / "out", shard_size=3, tokens_per_batch=6)
    assert [(bar.n, bar.total) for bar in bars] == [(7, 7), (7, 7)]


def test_nothing_is_drawn_where_there_is_no_terminal(
    tmp_path: Path, make_embedder: MakeEmbedder, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.faa").write_text(">r\nACDE\n", "utf-8")
    features.extract(tmp_path / "in.faa", make_embedder(), tmp_path / "out", tokens_per_batch=6)
    assert capsys.readouterr().err == ""
