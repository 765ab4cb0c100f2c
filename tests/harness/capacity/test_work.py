"""Arithmetic of a run: by hand, linear in the sequences, growing with the length."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedders import arithmetic_of, checkpoint
from embedders.arithmetic import Arithmetic
from harness import measure
from harness.capacity import Lengths, Way, executed_work, lengths_of, split, useful_work, whole_run
from harness.capacity.work import useful_run


def arithmetic(name: str) -> Arithmetic:
    found = arithmetic_of(name)
    assert found is not None
    return found


PACKED = Way(arithmetic("fastesm2-650"), 4096, pads=False, window=1024)
PADDED = replace(PACKED, pads=True)

mixes = st.lists(st.integers(1, 3000), min_size=1, max_size=50)


# gigaflops per residue in the linear part, from the published shapes (24·L·H²)
@pytest.mark.parametrize(
    ("name", "linear"),
    [
        ("esm2-8m", 14.7e6),
        ("esm2-35m", 66e6),
        ("esm2-150m", 295e6),
        ("esm2-650m", 1.298e9),
        ("fastesm2-650", 1.298e9),
        ("esm2-3b", 5.662e9),
        ("esm2-15b", 30.2e9),
    ],
)
def test_a_token_takes_the_published_flops(name: str, linear: float) -> None:
    row = checkpoint(name)
    token, pair = split(arithmetic(name))
    assert token == pytest.approx(linear, rel=6e-3)
    assert pair == 4 * row.layers * row.width


def test_the_flops_of_a_sequence_are_those_by_hand() -> None:
    # 166 residues and two more tokens through 33 layers of 1,280
    work = useful_work(PACKED, [166])
    assert work.linear_flops == 168 * 24 * 33 * 1280**2
    assert work.attention_flops == 4 * 33 * 168 * 1280 * 168


@given(mixes)
def test_both_parts_are_all_useful_flops(residues: list[int]) -> None:
    whole = replace(PACKED, window=None)
    shape = checkpoint("fastesm2-650").architecture()
    assert useful_work(whole, residues).flops == measure.useful_flops(shape, residues)


@given(mixes, st.integers(64, 9000))
def test_padding_is_what_batches_of_the_plan_cost(residues: list[int], budget: int) -> None:
    from embedders.batching import plan_batches  # noqa: PLC0415 - the independent way

    whole = replace(PADDED, window=None, tokens_per_batch=budget)
    batches = [[residues[row] for row in rows] for rows in plan_batches(residues, budget)]
    shape = checkpoint("fastesm2-650").architecture()
    assert executed_work(whole, residues).flops == measure.padded_flops(shape, batches)


@given(mixes, st.integers(1, 50), st.booleans())
def test_a_run_is_linear_in_whole_windows(residues: list[int], times: int, pads: bool) -> None:
    way = replace(PADDED, pads=pads, shard_size=40)
    lengths = lengths_of(residues, "drawn")
    once, more = (whole_run(way, lengths, 40 * count) for count in (1, times))
    assert more.linear_flops == times * once.linear_flops
    assert more.attention_flops == times * once.attention_flops


@given(st.integers(1, 10**12))
def test_a_run_of_one_length_is_linear_in_its_sequences(sequences: int) -> None:
    way, lengths = replace(PACKED, shard_size=100), Lengths.all_of(166)
    one = whole_run(way, lengths, 1).flops
    assert whole_run(way, lengths, sequences).flops == pytest.approx(sequences * one, rel=1e-12)


@given(st.integers(1, 1023), st.booleans())
def test_longer_sequences_take_more_up_to_the_window(residues: int, pads: bool) -> None:
    way = replace(PADDED, pads=pads, shard_size=20)
    shorter, longer = (
        whole_run(way, Lengths.all_of(each), 20).flops for each in (residues, residues + 1)
    )
    assert shorter < longer


@given(st.integers(1024, 40_000))
def test_what_lies_beyond_the_window_takes_nothing(residues: int) -> None:
    assert useful_work(PACKED, [residues]) == useful_work(PACKED, [1024])


def test_legacy_truncation_takes_the_whole_sequence() -> None:
    whole = replace(PACKED, window=None)
    assert useful_work(whole, [5000]).flops > 4 * useful_work(PACKED, [5000]).flops


@given(mixes, st.integers(1, 10**9))
def test_a_mix_takes_more_than_as_many_of_its_mean(residues: list[int], sequences: int) -> None:
    # attention is convex in the length (Jensen), so a mean length alone says too little
    whole = replace(PACKED, window=None)
    mixed = useful_run(whole, lengths_of(residues, "drawn"), sequences)
    mean = sum(residues) / len(residues) + 2
    _, pair = split(whole.arithmetic)
    assert mixed.attention_flops >= sequences * pair * mean**2 * (1 - 1e-12)
