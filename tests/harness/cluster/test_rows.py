"""What goes through Ray comes out as it went in."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("ray")

from harness.cluster.rows import RawWindow, made_row, read_made, read_window, window_row
from harness.features.fasta import Record
from harness.features.making import Made
from harness.features.rejects import Reject
from harness.features.resident import Failure

ASCII = st.text(st.characters(max_codepoint=127), max_size=20)
COUNTS = st.dictionaries(st.sampled_from(["lower_case", "blank", "gap"]), st.integers(1, 2**40))
PLACES = st.integers(0, 2**40)
RECORDS = st.builds(Record, ASCII, ASCII, PLACES, COUNTS.map(Counter))
FAILURES = st.builds(Failure, ASCII, st.text(max_size=50).filter(str.isprintable), st.booleans())


@given(window=st.builds(RawWindow, PLACES, PLACES, st.lists(RECORDS).map(tuple)))
def test_a_window(window: RawWindow) -> None:
    assert read_window(window_row(window)) == window


@given(failure=FAILURES)
def test_a_failure_on_either_way(failure: Failure) -> None:
    assert read_window(window_row(failure)) == failure
    assert read_made(made_row(failure, ["a", "b"]), 3) == (failure, ("a", "b"))


@given(
    rows=st.integers(0, 4),
    width=st.integers(1, 5),
    rejects=st.lists(st.builds(Reject, ASCII, PLACES, ASCII), max_size=3),
    fixes=COUNTS,
    seed=st.integers(0, 2**31),
)
def test_a_window_that_was_made(
    rows: int, width: int, rejects: list[Reject], fixes: dict[str, int], seed: int
) -> None:
    matrix = torch.randn(rows, width, generator=torch.Generator().manual_seed(seed))
    ids = tuple(f"r{n}" for n in range(rows))
    made = Made(3, ids, matrix, tuple(rejects), 99, fixes, 2048, ("it was handled",))
    found, events = read_made(made_row(made), width)
    assert isinstance(found, Made)
    assert found.matrix.dtype is torch.float32
    assert found.matrix.shape == (rows, width)
    assert torch.equal(found.matrix, matrix)
    assert list(found.fixes) == list(fixes)  # their order is the manifest's
    for name in ("number", "ids", "rejects", "residues", "fixes", "tokens_per_batch", "events"):
        assert getattr(found, name) == getattr(made, name)
    assert events == made.events
