"""Drawn arms have the loss, discordance and correlation asked for, and are judged as rows are."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from embedders.errors import InputError
from harness.judge.noninferiority import noninferiority, p_value
from harness.judge.simulation import (
    Draws,
    Scenario,
    draw,
    intervals,
    p_values,
    without_clusters,
    without_seeds,
)

Rows = NDArray[np.bool_]

PLAIN = Scenario((20,) * 30, loss=0.03, discordance=0.1, correlation=0.1, seeds=3)
SWAYED = Scenario((20,) * 30, loss=0.03, discordance=0.1, correlation=0.1, seeds=3, sway=0.35)
UNEVEN = Scenario((1, 7, 90, 3, 31, 2), 0.01, discordance=0.2, correlation=0.3, seeds=4, sway=0.2)


def as_rows(draws: Draws, repeat: int) -> tuple[Rows, Rows, NDArray[np.int64]]:
    """Write the counts of one repeat out as rows: first those lost, then those won."""
    seeds = draws.lost.shape[2]
    columns = []
    for cluster, size in enumerate(draws.sizes):
        place = np.arange(size)
        lost, won = draws.lost[repeat, cluster], draws.won[repeat, cluster]
        gone = place < lost[:, None]
        come = (place >= lost[:, None]) & (place < (lost + won)[:, None])
        columns.append((~come, ~gone))
    before, after = (np.concatenate(arm, axis=1) for arm in zip(*columns, strict=True))
    assert before.shape[0] == seeds
    return before, after, np.repeat(np.arange(len(draws.sizes)), draws.sizes)


@pytest.mark.parametrize("scenario", [PLAIN, SWAYED, UNEVEN], ids=["plain", "swayed", "uneven"])
def test_many_are_judged_as_each_is_by_its_rows(scenario: Scenario) -> None:
    draws = draw(scenario, 20, np.random.default_rng(3))
    judged = intervals(draws, margin=0.02)
    for repeat in range(20):
        found = noninferiority(*as_rows(draws, repeat), margin=0.02)
        assert judged.lower[repeat] == pytest.approx(found.lower, abs=1e-12)
        assert judged.upper[repeat] == pytest.approx(found.upper, abs=1e-12)


@pytest.mark.parametrize("scenario", [PLAIN, SWAYED, UNEVEN], ids=["plain", "swayed", "uneven"])
def test_many_have_the_p_values_that_each_has_by_its_rows(scenario: Scenario) -> None:
    draws = draw(scenario, 20, np.random.default_rng(3))
    found = p_values(draws, margin=0.02)
    for repeat in range(20):
        wanted = p_value(*as_rows(draws, repeat), margin=0.02)
        assert found[repeat] == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("scenario", [PLAIN, SWAYED], ids=["plain", "swayed"])
def test_loss_and_discordance_are_those_asked_for(scenario: Scenario) -> None:
    """Within 5 standard errors of the means over 4,000 repeats."""
    draws = draw(scenario, 4000, np.random.default_rng(5))
    rows = int(draws.sizes.sum())
    for wanted, counts in (
        (scenario.loss, draws.lost - draws.won),
        (scenario.discordance, draws.lost + draws.won),
    ):
        rates = counts.sum(axis=1).mean(axis=1) / rows
        assert rates.mean() == pytest.approx(wanted, abs=5 * rates.std() / np.sqrt(len(rates)))


def test_gains_of_a_cluster_correlate_as_asked() -> None:
    """Var(total of a cluster) = m·v·(1 + (m-1)·r), v the variance of one gain (Kish 1965)."""
    gains = draw(PLAIN, 4000, np.random.default_rng(7))
    totals = (gains.won - gains.lost)[:, :, 0].ravel()
    of_one = PLAIN.discordance - PLAIN.loss**2
    correlation = (totals.var() / (20 * of_one) - 1) / 19
    assert correlation == pytest.approx(PLAIN.correlation, abs=0.01)


def test_retrainings_agree_on_every_row_unless_they_sway() -> None:
    still, moved = (draw(each, 50, np.random.default_rng(1)) for each in (PLAIN, SWAYED))
    assert (still.lost == still.lost[:, :, :1]).all()
    assert (moved.lost != moved.lost[:, :, :1]).any()


def test_rows_lost_and_won_never_exceed_the_cluster() -> None:
    draws = draw(UNEVEN, 200, np.random.default_rng(2))
    assert (draws.lost >= 0).all()
    assert (draws.won >= 0).all()
    assert (draws.lost + draws.won <= draws.sizes[:, None]).all()


def test_naive_intervals_are_shorter_where_clusters_and_seeds_matter() -> None:
    draws = draw(SWAYED, 500, np.random.default_rng(4))
    ours = intervals(draws, margin=0.05)
    for naive in (without_clusters(draws), without_seeds(draws)):
        assert np.median(naive.upper - naive.lower) < np.median(ours.upper - ours.lower)


def test_the_same_seed_draws_the_same() -> None:
    first, second = (draw(SWAYED, 5, np.random.default_rng(9)) for _ in range(2))
    assert np.array_equal(first.lost, second.lost)
    assert np.array_equal(first.won, second.won)


@pytest.mark.parametrize(
    ("sizes", "loss", "discordance", "correlation", "seeds", "words"),
    [
        ((5, 5), 0.03, 0.02, 0.0, 3, "discordance"),
        ((5, 5), 0.0, 0.02, 1.0, 3, "correlation"),
        ((5,), 0.0, 0.02, 0.0, 3, "clusters"),
        ((5, 0), 0.0, 0.02, 0.0, 3, "clusters"),
        ((5, 5), 0.0, 0.02, 0.0, 0, "seed"),
    ],
)
def test_what_cannot_be_is_refused(
    sizes: tuple[int, ...],
    loss: float,
    discordance: float,
    correlation: float,
    seeds: int,
    words: str,
) -> None:
    with pytest.raises(InputError, match=words):
        Scenario(sizes, loss, discordance, correlation, seeds)


def rarely(clusters: int, size: int, correlation: float) -> float:
    """Share of PASS where a twentieth is truly lost, at a margin of a twentieth."""
    scenario = Scenario(
        (size,) * clusters, loss=0.05, discordance=0.1, correlation=correlation, seeds=3
    )
    draws = draw(scenario, 4000, np.random.default_rng(clusters))
    return float((intervals(draws, margin=0.05).lower > -0.05).mean())


@pytest.mark.parametrize(
    ("clusters", "size", "correlation"), list(itertools.product((10, 30), (10, 40), (0.0, 0.05)))
)
def test_a_loss_of_the_margin_passes_about_as_rarely_as_it_should(
    clusters: int, size: int, correlation: float
) -> None:
    """Nominal 2.5%; 3% and two standard errors of 0.27% are allowed."""
    assert rarely(clusters, size, correlation) <= 0.0355
