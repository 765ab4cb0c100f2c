"""Draws of two arms whose true loss is known, and the verdict's interval on many of them at once.

What :func:`harness.judge.noninferiority` makes of one table, :func:`intervals` makes of thousands
of drawn ones, by the same code, from counts by cluster and seed instead of rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embedders.errors import InputError
from harness.judge.spread import Counts, Figures, Spread, spread_of

SETTLED = 0.2
"""Share of a genome's rows on which every retraining agrees, where retrainings differ at all."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """Two arms on the rows of one class, and how far they are truly apart.

    ``sizes``: rows of each cluster. ``loss``: the true rate lost by the candidate.
    ``discordance``: share of rows that one arm alone gets right. ``correlation``: of the gains
    (+1, 0, -1) of two rows of one cluster. ``sway``: share of the rows not settled that follow
    chances of the retraining's own, equal in all clusters; 0: the retrainings agree on every row.

    Raises
    ------
    InputError
        If more is lost than differs, or the correlation is out of reach.
    """

    sizes: tuple[int, ...]
    loss: float
    discordance: float
    correlation: float
    seeds: int
    sway: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= abs(self.loss) <= self.discordance <= 0.5:
            raise InputError(
                f"a loss of {self.loss} needs a discordance of at least as much and at most 0.5, "
                f"not {self.discordance}"
            )
        if not 0 <= self.sway <= 1 or not 0 <= self.correlation_of_own < 1:
            raise InputError(f"correlation {self.correlation} with sway {self.sway} cannot be")
        if len(self.sizes) < 2 or min(self.sizes) < 1 or self.seeds < 1:
            raise InputError("at least 2 clusters with rows and at least 1 seed are needed")

    @property
    def correlation_of_own(self) -> float:
        """Return the correlation of rows that no retraining sways, so that all have theirs."""
        own = 1 - (1 - SETTLED) * self.sway
        return self.correlation / own**2

    @property
    def chances(self) -> tuple[float, float, float]:
        """Return the mean chances that a row is lost, won, or neither."""
        lost, won = (self.discordance + self.loss) / 2, (self.discordance - self.loss) / 2
        return lost, won, 1 - self.discordance


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """Rows lost and won by the candidate, int64 ``(repeats, clusters, seeds)``; ``sizes`` as in."""

    lost: Counts
    won: Counts
    sizes: Counts


@dataclass(frozen=True, slots=True, eq=False)
class Intervals:
    """Ends of each repeat's interval, ``(repeats,)``."""

    lower: Figures
    upper: Figures


def draw(scenario: Scenario, repeats: int, random: np.random.Generator) -> Draws:
    """Draw what the candidate loses and wins, by cluster and seed.

    Chances vary between clusters by Dirichlet's distribution around those of the scenario, so that
    the counts of a cluster follow the Dirichlet-multinomial distribution (Mosimann 1962,
    Biometrika 49:65), whose rows correlate by 1 / (concentration + 1) whatever their score. With
    ``sway``, a fifth of a cluster's rows are settled for all seeds and the others are drawn anew
    for each, the share ``sway`` of them by chances of that seed: p_lost · (1 + t) and
    p_won · (1 - t), t uniform in -1 … 1. Every mean is exactly that of the scenario.
    """
    sizes = np.array(scenario.sizes)
    own = _own_chances(scenario, (repeats, len(sizes)), random)
    settled = sizes if not scenario.sway else np.rint(SETTLED * sizes).astype(np.int64)
    fixed = _counts(np.broadcast_to(settled, own[0].shape), *own, random)
    if not scenario.sway:
        lost, won = (np.repeat(each[..., None], scenario.seeds, axis=2) for each in fixed)
        return Draws(lost, won, sizes)
    tilt = random.uniform(-1, 1, (repeats, 1, scenario.seeds))
    mean_lost, mean_won, _ = scenario.chances
    lost_chance = (1 - scenario.sway) * own[0][..., None] + scenario.sway * mean_lost * (1 + tilt)
    won_chance = (1 - scenario.sway) * own[1][..., None] + scenario.sway * mean_won * (1 - tilt)
    unsettled = np.broadcast_to((sizes - settled)[:, None], lost_chance.shape)
    moved = _counts(unsettled, lost_chance, won_chance, random)
    return Draws(fixed[0][..., None] + moved[0], fixed[1][..., None] + moved[1], sizes)


def intervals(draws: Draws, *, margin: float, alpha: float = 0.025) -> Intervals:
    """Return the interval of :func:`harness.judge.noninferiority` for every repeat.

    At least 2 seeds, as for a decision.
    """
    difference, spread = _measured(draws, margin, alpha)
    here = np.array(len(draws.sizes))
    return Intervals(difference - spread.reach_below(here), difference + spread.reach_above(here))


def p_values(draws: Draws, *, margin: float) -> Figures:
    """Return :func:`harness.judge.noninferiority.p_value` for every repeat, ``(repeats,)``.

    At least 2 seeds, as for a decision.
    """
    difference, spread = _measured(draws, margin, alpha=0.025)  # which has no say in it
    return spread.level_below(difference + margin)


def _measured(draws: Draws, margin: float, alpha: float) -> tuple[Figures, Spread]:
    """Return the difference of every repeat and the parts of its error."""
    gains = draws.won - draws.lost
    spread = spread_of(
        gains,
        draws.lost.sum(axis=1),
        draws.won.sum(axis=1),
        draws.sizes,
        margin=margin,
        alpha=alpha,
    )
    return gains.mean(axis=2).sum(axis=1) / draws.sizes.sum(), spread


def without_clusters(draws: Draws, *, alpha: float = 0.025) -> Intervals:
    """Return intervals that take every row for independent: what ignoring clusters would say."""
    rows = int(draws.sizes.sum())
    lost, won = (each.sum(axis=1).mean(axis=1) / rows for each in (draws.lost, draws.won))
    return _wald(won - lost, (lost + won - (won - lost) ** 2) / rows, alpha)


def without_seeds(draws: Draws, *, alpha: float = 0.025) -> Intervals:
    """Return cluster-robust intervals of one seed alone: what a single training would say."""
    gains = (draws.won - draws.lost)[:, :, 0]
    rows = int(draws.sizes.sum())
    clusters = gains.shape[1]
    difference = gains.sum(axis=1) / rows
    residuals = gains - difference[:, None] * draws.sizes
    between = clusters / (clusters - 1) * (residuals**2).sum(axis=1) / rows**2
    return _wald(difference, between, alpha, freedom=clusters - 1)


def _own_chances(
    scenario: Scenario, shape: tuple[int, int], random: np.random.Generator
) -> tuple[Figures, Figures]:
    """Draw each cluster's own chances to lose and to win a row."""
    lost, won, neither = scenario.chances
    correlation = scenario.correlation_of_own
    if not correlation:
        return np.full(shape, lost), np.full(shape, won)
    concentration = 1 / correlation - 1
    first, second, third = (
        random.standard_gamma(concentration * each, shape) for each in (lost, won, neither)
    )
    whole = first + second + third
    return first / whole, second / whole


def _counts(
    sizes: Counts, lost: Figures, won: Figures, random: np.random.Generator
) -> tuple[Counts, Counts]:
    """Draw multinomial counts of rows lost and won."""
    taken = random.binomial(sizes, lost)
    left = np.divide(won, 1 - lost, out=np.zeros_like(won), where=lost < 1)
    return taken, random.binomial(sizes - taken, np.minimum(left, 1))


def _wald(
    difference: Figures, variance: Figures, alpha: float, freedom: float = np.inf
) -> Intervals:
    from scipy import stats  # noqa: PLC0415 - slow to import

    reach = stats.t.ppf(1 - alpha, freedom) * np.sqrt(variance)
    return Intervals(difference - reach, difference + reach)
