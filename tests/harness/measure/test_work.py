"""FLOPs agree with an independent count and with the table of the published models."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from embedders import InputError, checkpoint
from embedders.checkpoints import Architecture
from harness.measure import padded_flops, useful_flops

SMALL = Architecture(layers=2, width=32, heads=4)
LENGTHS = st.lists(st.integers(0, 1024), min_size=1, max_size=20)


def counted_by_torch(architecture: Architecture, residues: int, rows: int) -> int:
    """Return what torch's own counter sees in transformers' model."""
    from transformers import EsmConfig, EsmModel  # noqa: PLC0415 - heavy

    config = EsmConfig(
        vocab_size=33,
        hidden_size=architecture.width,
        num_hidden_layers=architecture.layers,
        num_attention_heads=architecture.heads,
        intermediate_size=architecture.feed_forward,
        position_embedding_type="rotary",
        pad_token_id=1,
        mask_token_id=32,
    )
    model = EsmModel(config, add_pooling_layer=False)
    model.set_attn_implementation("eager")
    tokens = torch.full((rows, residues + 2), 5)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model.eval()(tokens, attention_mask=torch.ones_like(tokens))
    return int(counter.get_total_flops())


@pytest.mark.parametrize(("residues", "rows"), [(1, 1), (30, 3), (98, 2)])
def test_flops_are_those_that_torch_counts_in_transformers_model(residues: int, rows: int) -> None:
    ours = useful_flops(SMALL, [residues] * rows)
    assert ours == counted_by_torch(SMALL, residues, rows)


@pytest.mark.parametrize(
    ("name", "megaflops", "within"),
    [
        ("esm2-8m", 14.7, 0.05),
        ("esm2-35m", 66, 0.5),
        ("esm2-150m", 295, 0.5),
        ("esm2-650m", 1298, 0.5),
        ("fastesm2-650", 1298, 0.5),
        ("esm2-3b", 5662, 0.5),
        ("esm2-15b", 30200, 50),
    ],
)
def test_the_linear_part_is_that_of_the_published_table(
    name: str, megaflops: float, within: float
) -> None:
    """The project's table of models; ``f(T) = aT + bT²`` gives ``a`` from two values of ``f``."""
    architecture = checkpoint(name).architecture()
    two, four = (useful_flops(architecture, [residues]) for residues in (0, 2))
    assert (4 * two - four) / 4 / 1e6 == pytest.approx(megaflops, abs=within)


@given(LENGTHS)
def test_a_padded_batch_never_costs_less_and_as_much_if_rows_are_alike(lengths: list[int]) -> None:
    assert padded_flops(SMALL, [lengths]) >= useful_flops(SMALL, lengths)
    alike = [lengths[0]] * len(lengths)
    assert padded_flops(SMALL, [alike]) == useful_flops(SMALL, alike)


def test_each_row_of_a_batch_costs_as_much_as_its_longest() -> None:
    assert padded_flops(SMALL, [[1, 98], [5, 5]]) == useful_flops(SMALL, [98, 98, 5, 5])


@given(LENGTHS)
def test_batches_of_one_row_have_no_padding(lengths: list[int]) -> None:
    assert padded_flops(SMALL, [[each] for each in lengths]) == useful_flops(SMALL, lengths)


def test_an_empty_batch_costs_nothing() -> None:
    assert padded_flops(SMALL, [[], [3]]) == useful_flops(SMALL, [3])


def test_a_length_below_zero_is_refused() -> None:
    with pytest.raises(InputError, match="below zero: -3"):
        useful_flops(SMALL, [5, -3])
