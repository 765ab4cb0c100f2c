"""Bytes and intensity of a batch, counted tensor by tensor."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedders import UnknownName
from embedders.checkpoints import Architecture
from harness.costs import Rate
from harness.measure import arithmetic_intensity, bytes_moved, roofline_point, useful_flops

SMALL = Architecture(layers=3, width=32, heads=4)


def numbers_of_one_pass(architecture: Architecture, tokens: int) -> int:
    """Count the elements of every operand and result, each matrix by its own shape."""
    width = architecture.width
    steps = [  # inputs, outputs and weights as shapes
        [(tokens, width), (width, 3 * width), (tokens, 3 * width)],  # queries, keys, values
        [(tokens, 3 * width), (tokens, width)],  # attention, its scores never written
        [(tokens, width), (width, width), (tokens, width)],  # its projection
        [(tokens, width), (width, 4 * width), (tokens, 4 * width)],  # up
        [(tokens, 4 * width), (4 * width, width), (tokens, width)],  # down
    ]
    return architecture.layers * sum(rows * columns for step in steps for rows, columns in step)


@given(st.lists(st.lists(st.integers(0, 300), max_size=5), max_size=4))
def test_bytes_are_those_of_every_operand_and_result(batches: list[list[int]]) -> None:
    passes = [sum(batch) + 2 * len(batch) for batch in batches if batch]
    expected = 4 * sum(numbers_of_one_pass(SMALL, tokens) for tokens in passes)
    assert bytes_moved(SMALL, batches, "float32") == expected


def test_half_as_wide_numbers_double_the_intensity() -> None:
    wide, half = (arithmetic_intensity(SMALL, [[50, 40]], d) for d in ("float32", "bfloat16"))
    assert half == pytest.approx(2 * wide)


def test_one_large_batch_is_more_intense_than_many_small_ones() -> None:
    rows = [100] * 8
    together = arithmetic_intensity(SMALL, [rows], "float32")
    alone = arithmetic_intensity(SMALL, [[each] for each in rows], "float32")
    assert together > alone


def test_a_point_carries_the_arms_own_measured_flops() -> None:
    rate = Rate("candidate", 1.0, 2.0, 3e9, 0.5, None)
    point = roofline_point(rate, SMALL, [[50]], "float32")
    assert (point.arm, point.dtype, point.flops_per_s) == ("candidate", "float32", 3e9)
    moved = 4 * numbers_of_one_pass(SMALL, 52)
    assert point.flops_per_byte == pytest.approx(useful_flops(SMALL, [50]) / moved)


def test_a_dtype_of_unknown_size_is_refused() -> None:
    with pytest.raises(UnknownName, match="unknown dtype 'float8'"):
        bytes_moved(SMALL, [[1]], "float8")
