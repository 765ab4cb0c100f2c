"""The recipe: what it refuses, which modules it names, how its rate runs."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedders import InputError
from embedders.checkpoints import Architecture
from embedders.naming import parameter_shapes
from harness.tuning import TARGETS, TuningRecipe


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rank", 0),
        ("batch_rows", 0),
        ("max_epochs", 0),
        ("patience", 0),
        ("tokens_per_pass", 0),
        ("alpha", 0.0),
        ("learning_rate", float("nan")),
        ("learning_rate", float("inf")),
        ("dropout", 1.0),
        ("warmup", -0.1),
        ("max_residues", 1025),
        ("max_residues", 0),
        ("targets", ()),
        ("targets", ("query", "query")),
        ("targets", ("queries",)),
    ],
)
def test_a_value_out_of_range_is_refused_by_its_name(key: str, value: object) -> None:
    chosen: dict[str, Any] = {key: value}
    with pytest.raises(InputError, match=rf"^{key} of the recipe must be"):
        TuningRecipe(**chosen)


def test_all_targets_together_name_every_matrix_of_the_layers_and_nothing_else() -> None:
    pattern = TuningRecipe(targets=tuple(TARGETS)).modules()
    shapes = parameter_shapes(Architecture(layers=2, width=8, heads=2))
    for name, shape in shapes.items():
        module = name.removesuffix(".weight")
        is_matrix = len(shape) == 2 and "embeddings" not in name
        assert bool(re.fullmatch(pattern, module)) == is_matrix, name


def test_a_single_target_names_one_kind_of_matrix() -> None:
    pattern = TuningRecipe(targets=("output",)).modules()
    assert re.fullmatch(pattern, "encoder.layer.31.attention.output.dense")
    assert not re.fullmatch(pattern, "encoder.layer.31.output.dense")


@given(st.integers(1, 300), st.floats(0, 0.9))
def test_the_rate_rises_to_the_peak_falls_to_almost_nothing_and_never_leaves_that_span(
    steps: int, warmup: float
) -> None:
    recipe = TuningRecipe(learning_rate=2.0, warmup=warmup)
    rates = [recipe.rate(step, steps) for step in range(steps)]
    peak = rates.index(max(rates))
    assert max(rates) == 2.0
    assert min(rates) > 0
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    falling = steps - round(warmup * steps)
    if falling:
        # a straight line, from the peak to zero at the first step that is not taken
        assert rates[-1] == pytest.approx(2.0 / falling)
