"""Batches hold every row once with its own label, wherever rows lie and however few fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier import StoredRows, feeding
from classifier.blocks import Block, Blocks, LabelledRows
from classifier.feeding import Feed, fits, pool_rows

WIDTH = 3


def matrix(rows: int) -> torch.Tensor:
    """Row ``i`` begins with ``i``."""
    return torch.arange(rows * WIDTH, dtype=torch.float32).reshape(rows, WIDTH) / WIDTH


def dataset(blocks: list[Block], rows: np.ndarray | None = None) -> LabelledRows:
    table = Blocks(blocks)
    labels = (np.arange(len(table)) % 7 % 2).astype(np.int64)
    return LabelledRows(table, labels, np.arange(len(table)) if rows is None else rows)


def delivered(feed: Feed) -> list[tuple[list[float], list[int]]]:
    # a batch is a view that the next one may overwrite: it is copied here, as training uses it up
    return [(features[:, 0].tolist(), labels.tolist()) for features, labels in feed]


@pytest.fixture
def small_pools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "POOL_BYTES", 100 * 4 * WIDTH)


@settings(deadline=None)
@given(rows=st.integers(1, 400), batch=st.integers(1, 70), pool=st.integers(1, 150))
def test_each_row_comes_once_with_its_label_in_full_batches(
    rows: int, batch: int, pool: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feeding, "POOL_BYTES", pool * 4 * WIDTH)
        torch.manual_seed(rows)
        batches = delivered(Feed(dataset([matrix(rows)]), batch_size=batch, shuffle=True))
    assert sorted(first for firsts, _ in batches for first in firsts) == list(range(rows))
    assert all(
        label == int(first) % 7 % 2
        for firsts, labels in batches
        for first, label in zip(firsts, labels, strict=True)
    )
    sizes = [len(labels) for _, labels in batches]
    assert sizes == [batch] * (rows // batch) + [rows % batch] * (rows % batch > 0)


@pytest.mark.usefixtures("small_pools")
def test_rows_in_files_give_the_same_batches_as_rows_in_memory(tmp_path: Path) -> None:
    whole = matrix(430)
    parts = torch.split(whole, [1, 200, 0, 229])
    stored: list[Block] = []
    for number, part in enumerate(parts):
        path = tmp_path / str(number)
        path.write_bytes(b"header" + part.numpy().tobytes())
        stored.append(StoredRows(path, 6, len(part), WIDTH))
    rows = np.flatnonzero(np.arange(430) % 5)
    torch.manual_seed(0)
    expected = delivered(Feed(dataset([whole], rows), batch_size=32, shuffle=True))
    torch.manual_seed(0)
    assert delivered(Feed(dataset(stored, rows), batch_size=32, shuffle=True)) == expected


@pytest.mark.usefixtures("small_pools")
def test_each_epoch_has_an_order_of_its_own_that_the_seed_decides() -> None:
    feed = Feed(dataset([matrix(300)]), batch_size=32, shuffle=True)
    torch.manual_seed(0)
    first, second = delivered(feed), delivered(feed)
    torch.manual_seed(0)
    assert delivered(feed) == first
    assert first != second


@pytest.mark.usefixtures("small_pools")
def test_what_does_not_fill_a_batch_can_be_left_out() -> None:
    feed = Feed(dataset([matrix(301)]), batch_size=50, shuffle=True, drop_last=True)
    assert [len(labels) for _, labels in delivered(feed)] == [50] * 6


def test_unshuffled_rows_come_as_they_stand() -> None:
    rows = np.array([7, 3, 9])
    assert delivered(Feed(dataset([matrix(10)], rows), batch_size=2)) == [
        ([7, 3], [0, 1]),
        ([9], [0]),
    ]


@pytest.mark.usefixtures("small_pools")
@pytest.mark.parametrize("shuffle", [True, False])
def test_rows_are_prepared_before_they_are_dealt(shuffle: bool) -> None:
    feed = Feed(
        dataset([matrix(250)]),
        batch_size=64,
        shuffle=shuffle,
        prepare=lambda rows: (rows + 1).bfloat16(),
    )
    batches = [features.clone() for features, _ in feed]
    assert {features.dtype for features in batches} == {torch.bfloat16}
    found = torch.cat(batches)[:, 0].sort().values
    assert torch.equal(found, (matrix(250)[:, 0] + 1).bfloat16())


@pytest.mark.usefixtures("small_pools")
def test_no_more_rows_are_fetched_at_once_than_a_pool_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fetched: list[int] = []
    fetch = Blocks.fetch

    def watched(self: Blocks, rows: np.ndarray) -> torch.Tensor:
        fetched.append(len(rows))
        return fetch(self, rows)

    monkeypatch.setattr(Blocks, "fetch", watched)
    delivered(Feed(dataset([matrix(1000)]), batch_size=10, shuffle=True))
    assert max(fetched) <= 100
    assert sum(fetched) == 1000


def test_a_quarter_of_a_gibibyte_is_mixed_as_a_whole() -> None:
    rows = 2**28 // (4 * 1664)
    assert pool_rows(1664) == rows
    table = Blocks([torch.empty(0, 1664)])
    assert fits(table, rows)
    assert not fits(table, rows + 1)
