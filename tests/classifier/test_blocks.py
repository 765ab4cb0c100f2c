"""Rows come back right whatever block they lie in, and only those asked for are copied."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from classifier import ClassifierError
from classifier.blocks import Blocks, LabelledRows, as_rows


@given(
    sizes=st.lists(st.integers(0, 5), min_size=1, max_size=6).filter(lambda sizes: sum(sizes) > 0),
    data=st.data(),
)
def test_fetch_equals_indexing_the_concatenation(sizes: list[int], data: st.DataObject) -> None:
    whole = torch.arange(sum(sizes) * 3, dtype=torch.float32).reshape(-1, 3)
    rows = data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=12))
    fetched = Blocks(torch.split(whole, sizes)).fetch(np.array(rows, dtype=np.int64))
    assert torch.equal(fetched, whole[torch.tensor(rows, dtype=torch.int64)])


def test_loader_gets_whole_batches_of_rows_with_their_labels() -> None:
    whole = torch.arange(10, dtype=torch.float32).reshape(5, 2)
    labels = np.array([0, 1, 0, 1, 1])
    dataset = LabelledRows(Blocks([whole[:2], whole[2:]]), labels, np.array([4, 0, 3]))
    batches = list(DataLoader(dataset, batch_size=2, collate_fn=lambda batch: batch))
    assert [batch[0].tolist() for batch in batches] == [[[8, 9], [0, 1]], [[6, 7]]]
    assert [batch[1].tolist() for batch in batches] == [[1, 0], [1]]
    assert dataset[1][0].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ([], "at least one block"),
        ([torch.zeros(3)], "float32 matrix"),
        ([torch.zeros(3, 2, dtype=torch.float64)], "float64"),
        ([torch.zeros(3, 2), torch.zeros(3, 4)], "block 1 is 4 wide but block 0 is 2 wide"),
    ],
)
def test_blocks_that_are_no_features_are_refused(blocks: list[torch.Tensor], message: str) -> None:
    with pytest.raises(ClassifierError, match=message):
        Blocks(blocks)


@pytest.mark.parametrize(
    ("rows", "message"), [([0, 3], "row 3"), ([-1], "row -1"), ([1, 1], "twice")]
)
def test_rows_that_are_not_there_or_come_twice_are_refused(rows: list[int], message: str) -> None:
    with pytest.raises(ClassifierError, match=message):
        as_rows(rows, Blocks([torch.zeros(3, 2)]))
