"""Likeness of two embedders, against slow loops and other libraries."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import procrustes
from scipy.stats import ortho_group
from sklearn.neighbors import NearestNeighbors

from embedders import load
from harness.measure import LEAST_ROWS, similarity
from harness.measure.parity.similarity import (
    MOST_ROWS,
    Matrix,
    linear_cka,
    neighbour_overlap,
    procrustes_distance,
)
from harness.results import BOTH_ARMS, to_json
from tests.bundled import shortest
from tests.harness.measure.parity.conftest import Loader

SEEDS = st.integers(0, 10_000)


def draw(rows: int, width: int, seed: int) -> Matrix:
    return np.random.default_rng(seed).normal(size=(rows, width))


def related(rows: int, seed: int) -> tuple[Matrix, Matrix]:
    """Two views of the same rows, 9 and 5 wide, each with noise."""
    common = draw(rows, 4, seed)
    views = [common @ draw(4, width, seed + width) for width in (9, 5)]
    return views[0] + 0.1 * draw(rows, 9, seed + 1), views[1] + 0.1 * draw(rows, 5, seed + 2)


def slow_hsic(left: Matrix, right: Matrix) -> float:
    """Song et al. 2012, equation 4: the U-statistic itself, over all ordered quadruples."""
    k, m = left @ left.T, right @ right.T
    quadruples = list(permutations(range(len(left)), 4))
    terms = [
        k[i, j] * m[i, j] + k[i, j] * m[q, r] - 2 * k[i, j] * m[i, q] for i, j, q, r in quadruples
    ]
    return float(np.sum(terms)) / len(quadruples)


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_cka_is_that_of_the_u_statistic(seed: int) -> None:
    left, right = related(7, seed)
    expected = slow_hsic(left, right) / np.sqrt(slow_hsic(left, left) * slow_hsic(right, right))
    assert linear_cka(left, right) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=10, deadline=None)
@given(SEEDS, st.integers(1, 8))
def test_neighbours_are_those_of_scikit_learn(seed: int, k: int) -> None:
    left, right = related(20, seed)
    near = [
        NearestNeighbors(n_neighbors=k, metric="cosine").fit(each).kneighbors(return_distance=False)
        for each in (left, right)
    ]
    shared = [len(set(a) & set(b)) / k for a, b in zip(*near, strict=True)]
    assert neighbour_overlap(left, right, k) == pytest.approx(np.mean(shared))


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_procrustes_is_that_of_scipy_with_zeros_beside_the_narrower(seed: int) -> None:
    left, right = related(12, seed)
    _, _, disparity = procrustes(left, np.pad(right, ((0, 0), (0, 4))))
    # scipy also rescales, and so leaves 1 - s² where s is what both have in common
    assert procrustes_distance(left, right) == pytest.approx(1 - np.sqrt(1 - disparity))


@settings(max_examples=10, deadline=None)
@given(SEEDS, st.floats(0.01, 100))
def test_rotation_scale_and_shift_are_no_difference(seed: int, scale: float) -> None:
    left = draw(16, 6, seed)
    turned = scale * left @ ortho_group.rvs(6, random_state=seed) + draw(1, 6, seed + 1)
    assert linear_cka(left, turned) == pytest.approx(1)
    assert procrustes_distance(left, turned) == pytest.approx(0, abs=1e-9)


def test_unrelated_wide_matrices_are_not_alike() -> None:
    found = [linear_cka(draw(24, 1000, seed), draw(24, 500, seed + 1)) for seed in range(20)]
    # the usual, biased estimator gives more than 0.9 here
    assert abs(np.mean(found)) < 0.05


def as_tensors(rows: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    left, right = related(rows, seed)
    return torch.from_numpy(left).float(), torch.from_numpy(right).float()


@pytest.mark.parametrize("rows", [LEAST_ROWS, 24, MOST_ROWS + 50])
def test_two_views_of_the_same_rows_pass(rows: int) -> None:
    checks = similarity(*as_tensors(rows), seed=0)
    assert [check.arm for check in checks] == [BOTH_ARMS] * 3
    assert all(check.passed for check in checks)


def test_shuffled_ids_fail() -> None:
    passed = 0
    for seed in range(20):
        left, right = as_tensors(24, seed)
        checks = similarity(left, right.roll(1, dims=0), seed=seed)
        passed += sum(check.passed for check in checks)
    # of 60 checks, each of which lets 1 in 200 shuffles pass
    assert passed <= 2


def test_two_real_embedders_are_alike_and_with_shuffled_ids_are_not(
    loader: Loader,
) -> None:
    sequences = list(shortest(LEAST_ROWS).values())
    ours = loader("packed").embed(sequences)
    theirs = load("mini-baseline", runtime="packed", device="cpu").embed(sequences)
    assert all(check.passed for check in similarity(ours, theirs, seed=0))
    assert not any(check.passed for check in similarity(ours, theirs.roll(1, dims=0), seed=0))


@pytest.mark.parametrize("spoilt", [0, 1])
def test_nan_fails_every_check_and_has_a_form_in_json(spoilt: int) -> None:
    sides = list(as_tensors(LEAST_ROWS))
    sides[spoilt][3, 2] = float("nan")
    checks = similarity(sides[0], sides[1], seed=0)
    assert len(checks) == 3
    assert not any(check.passed for check in checks)
    to_json(checks)


def test_vectors_that_are_all_the_same_carry_nothing() -> None:
    left, _ = as_tensors(LEAST_ROWS)
    checks = similarity(left, torch.ones(LEAST_ROWS, 4), seed=0)
    assert not checks[0].value
    to_json(checks)


def test_too_few_rows_are_not_judged_and_unequal_ones_are_refused() -> None:
    left, right = as_tensors(LEAST_ROWS)
    assert similarity(left[:-1], right[:-1], seed=0) == ()
    assert similarity(left[:0], right[:0], seed=0) == ()
    with pytest.raises(ValueError, match="same sequences"):
        similarity(left[:-1], right, seed=0)


def test_the_same_seed_gives_the_same_limits() -> None:
    assert similarity(*as_tensors(24), seed=3) == similarity(*as_tensors(24), seed=3)
