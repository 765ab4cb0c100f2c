"""The interval of a paired difference: right by other means, finite, and honest about clusters."""

from __future__ import annotations

import doctest
import math
import sys
from dataclasses import asdict, astuple

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import optimize, stats

from embedders.errors import InputError
from harness.evidence import Decision, NonInferiority
from harness.judge.noninferiority import fewest_clusters, noninferiority, p_value
from harness.judge.spread import tango_error

Rows = NDArray[np.bool_]
Arms = tuple[Rows, Rows, NDArray[np.int64]]

FIGURES = (
    "difference",
    "lower",
    "upper",
    "standard_error",
    "cluster_error",
    "seed_error",
    "tango_error",
    "degrees_of_freedom",
)


@st.composite
def arms(
    draw: st.DrawFn, least_rows: int = 0, least_clusters: int = 1, least_seeds: int = 1
) -> Arms:
    """Both arms' right and wrong answers and the clusters, from all alike to all at odds."""
    seeds = draw(st.integers(least_seeds, 4))
    rows = draw(st.integers(max(least_rows, least_clusters), 60)) if least_rows else 0
    rows = rows or draw(st.integers(0, 60))
    shares = st.sampled_from([0.0, 0.02, 0.3, 0.9, 1.0])
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = (seeds, rows)
    before = random.random(shape) < draw(shares)
    after = before ^ (random.random(shape) < draw(shares))
    clusters = random.integers(0, draw(st.integers(least_clusters, 12)), rows)
    clusters[: min(least_clusters, rows)] = range(min(least_clusters, rows))
    return before, after, clusters


margins = st.floats(0.001, 0.5)


def two_clusters_that_mirror_each_other() -> Arms:
    """Residuals of ±r, whose skewness is nothing but rounding."""
    before, after = np.zeros((2, 21), dtype=np.bool_), np.zeros((2, 21), dtype=np.bool_)
    after[1, 1] = True
    clusters = np.array([0, 1, 0, 0, 0, 0, 1, 1, 1, 0, 1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 1])
    return before, after, clusters


unhurried = settings(deadline=None)


def interval(found: NonInferiority) -> tuple[float, float]:
    assert found.lower is not None
    assert found.upper is not None
    return found.lower, found.upper


def figure(found: NonInferiority, name: str) -> float:
    value = getattr(found, name)
    assert isinstance(value, float)
    return value


def equal_clusters(clusters: NDArray[np.int64]) -> float:
    """Kish's effective number: rows² over the sum of the squares of the clusters' rows."""
    sizes = pd.Series(clusters).value_counts()
    return float(sizes.sum() ** 2 / (sizes**2).sum())


def hall_root(freedom: float, skewness: float, clusters: float) -> float:
    """Student's quantile, pushed outwards by Hall's transformation (1992) where there is a tail."""
    quantile = float(stats.t.ppf(0.975, freedom))
    root = math.sqrt(clusters)

    def transformed(t: float) -> float:
        cubic = skewness**2 * t**3 / (27 * clusters)
        return t + skewness * t**2 / (3 * root) + cubic + skewness / (6 * root) - quantile

    if skewness >= 0:
        return quantile
    return max(quantile, float(optimize.brentq(transformed, -1e3, 1e6, xtol=1e-12, rtol=1e-12)))


def tiled(table: Arms, times: int) -> Arms:
    """The same clusters again under other names."""
    before, after, clusters = table
    names = np.concatenate([clusters + 1000 * copy for copy in range(times)])
    return np.tile(before, times), np.tile(after, times), names


# Tango's error, by other means


@unhurried
@given(
    rows=st.integers(1, 5000),
    shares=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    margin=st.floats(0.005, 0.5),
)
def test_tango_error_is_that_of_the_restricted_maximum_of_the_likelihood(
    rows: int, shares: tuple[float, float], margin: float
) -> None:
    """The likelihood of the three cells is maximised by scipy, not by the quadratic."""
    lost = int(rows * shares[0])
    won = int((rows - lost) * shares[1])

    def surprise(chance: float) -> float:
        """The candidate alone is right with ``chance``; the baseline alone ``margin`` more."""
        cells = (lost, chance + margin), (won, chance), (rows - lost - won, 1 - 2 * chance - margin)
        return -sum(count * math.log(max(p, 1e-300)) for count, p in cells if count)

    found = optimize.minimize_scalar(
        surprise, bounds=(0, (1 - margin) / 2), method="bounded", options={"xatol": 1e-10}
    )
    variance = 2 * found.x + margin - margin**2  # of a difference that is +1, 0 or -1
    expected = math.sqrt(variance / rows)
    assert tango_error(lost, won, rows, margin) == pytest.approx(expected, rel=1e-4)


def test_tango_score_of_the_published_example() -> None:
    """Tango 1998, section 6.1: 44 pairs, one only the standard cured; margin 0.1."""
    score = (0 - 1 + 44 * 0.1) / (44 * float(tango_error(1, 0, 44, 0.1)))
    assert round(score, 3) == 1.709
    assert round(float(stats.norm.sf(score)), 3) == 0.044

    def excess(margin: float) -> float:
        score = (0 - 1 + 44 * margin) / (44 * float(tango_error(1, 0, 44, margin)))
        return score - float(stats.norm.ppf(0.95))

    assert round(-optimize.brentq(excess, 0.03, 0.5), 3) == -0.096  # the lower limit of its 90%


def test_tango_interval_of_the_published_example() -> None:
    """Tango 1998, section 6.2: of 32 patients 9 only with one drug and 3 only with the other."""

    def excess(margin: float, tail: float) -> float:
        # a gain of g is a loss of -g; the roles of the arms are exchanged where it is above 0
        lost, won, loss = (3, 9, -margin) if margin < 0 else (9, 3, margin)
        score = (won - lost + 32 * loss) / (32 * float(tango_error(lost, won, 32, loss)))
        return (score if margin >= 0 else -score) - float(stats.norm.ppf(tail))

    lower = optimize.brentq(excess, -0.5, -1e-6, args=(0.025,))
    upper = optimize.brentq(excess, 0.19, 0.9, args=(0.975,))
    assert (round(lower, 3), round(upper, 3)) == (-0.027, 0.390)


@unhurried
@given(rows=st.integers(1, 10**7), margin=st.floats(1e-6, 0.999))
def test_tango_error_without_disagreement_is_that_of_the_margin_alone(
    rows: int, margin: float
) -> None:
    error = tango_error(0, 0, rows, margin)
    assert error == pytest.approx(math.sqrt(margin * (1 - margin) / rows))
    assert error > 0


# The variances, by other means


@unhurried
@given(table=arms(least_rows=2, least_clusters=2, least_seeds=2), margin=margins)
@example(table=two_clusters_that_mirror_each_other(), margin=0.5)
def test_variances_are_those_that_pandas_finds_by_group(table: Arms, margin: float) -> None:
    before, after, clusters = table
    seeds, rows = before.shape
    frame = pd.DataFrame(
        {
            "cluster": np.tile(clusters, seeds),
            "seed": np.repeat(np.arange(seeds), rows),
            "gain": after.ravel().astype(float) - before.ravel().astype(float),
        }
    )
    gained = frame.groupby(["cluster", "seed"])["gain"].agg(["sum", "size"])
    of_cluster = gained.groupby("cluster").agg(gain=("sum", "mean"), rows=("size", "first"))
    difference = of_cluster["gain"].sum() / rows
    residual = of_cluster["gain"] - difference * of_cluster["rows"]
    count = len(of_cluster)
    between_clusters = count / (count - 1) * (residual**2).sum() / rows**2
    between_seeds = frame.groupby("seed")["gain"].mean().var(ddof=1) / seeds

    found = noninferiority(*table, margin=margin)
    assert found.difference == pytest.approx(difference, abs=1e-12)
    assert found.cluster_error == pytest.approx(math.sqrt(between_clusters), abs=1e-9)
    assert found.seed_error == pytest.approx(math.sqrt(between_seeds), abs=1e-9)
    together = between_clusters + between_seeds
    if together > 1e-12:
        most = max(equal_clusters(clusters) - 1, 1)
        freedom = together**2 / (between_clusters**2 / most + between_seeds**2 / (seeds - 1))
        assert found.degrees_of_freedom == pytest.approx(freedom, rel=1e-6)

    def spread_of_seed(rows_of: pd.DataFrame) -> float:
        of = rows_of.groupby("cluster")["gain"].agg(["sum", "size"])
        return float(((of["sum"] - rows_of["gain"].mean() * of["size"]) ** 2).sum() / rows**2)

    by_seed = [one for _, one in frame.groupby("seed")]
    clustered = count / (count - 1) * sum(spread_of_seed(one) for one in by_seed)
    alone = sum(one["gain"].var(ddof=0) / rows for one in by_seed)
    effect = max(1.0, clustered / alone) if alone > 1e-12 else 1.0
    floors = [
        tango_error(
            int((before[s] & ~after[s]).sum()), int((after[s] & ~before[s]).sum()), rows, margin
        )
        for s in range(seeds)
    ]
    floor = effect * float(max(floors)) ** 2
    assert found.tango_error == pytest.approx(math.sqrt(floor + between_seeds), rel=1e-6)
    error = math.sqrt(max(between_clusters, floor) + between_seeds)
    assert found.standard_error == pytest.approx(error, rel=1e-6)
    # how far the ends lie off, by scipy's skewness and by solving Hall's polynomial for a root
    lower, upper = interval(found)
    skewness = float(stats.skew(residual)) if between_clusters > 1e-12 else 0.0
    for end, gamma in ((difference - lower, skewness), (upper - difference, -skewness)):
        reach = hall_root(figure(found, "degrees_of_freedom"), gamma, equal_clusters(clusters))
        assert end == pytest.approx(reach * error, rel=1e-5)


# What always holds


@unhurried
@given(table=arms(), margin=margins, alpha=st.floats(0.001, 0.4))
def test_no_figure_is_ever_nan_and_the_interval_holds_the_difference(
    table: Arms, margin: float, alpha: float
) -> None:
    found = noninferiority(*table, margin=margin, alpha=alpha)
    known = [value for value in astuple(found) if isinstance(value, float)]
    assert all(map(math.isfinite, known))
    if found.lower is None:
        assert found.upper is None
        assert found.decision is Decision.INCONCLUSIVE
        assert found.clusters < 2
    else:
        assert found.upper is not None
        assert found.difference is not None
        assert found.lower < found.difference < found.upper
    if found.decision is not Decision.INCONCLUSIVE:
        assert found.clusters_needed is None


@unhurried
@given(table=arms(least_rows=2, least_clusters=2, least_seeds=2), margin=margins)
def test_the_decision_is_on_which_side_of_the_margin_the_interval_lies(
    table: Arms, margin: float
) -> None:
    found = noninferiority(*table, margin=margin)
    lower, upper = interval(found)
    expected = Decision.INCONCLUSIVE
    if lower > -margin:
        expected = Decision.PASS
    if upper < -margin:
        expected = Decision.FAIL
    assert found.decision is expected


@unhurried
@given(table=arms(least_rows=2, least_clusters=2), margin=margins)
def test_swapped_arms_mirror_the_interval_but_for_the_floor(table: Arms, margin: float) -> None:
    """Tango's floor asks of a loss, so it alone differs when loss and gain are exchanged."""
    before, after, clusters = table
    found = noninferiority(before, after, clusters, margin=margin)
    mirrored = noninferiority(after, before, clusters, margin=margin)
    assert figure(found, "difference") == -figure(mirrored, "difference")
    for name in ("cluster_error", "seed_error", "degrees_of_freedom"):
        assert getattr(found, name) == getattr(mirrored, name)
    floor = max(figure(each, "tango_error") for each in (found, mirrored))
    if figure(found, "standard_error") > floor:
        lower, upper = interval(mirrored)
        assert interval(found) == (-upper, -lower)


@unhurried
@given(table=arms(least_rows=1), margin=margins, seed=st.integers(0, 999))
def test_names_of_clusters_and_order_of_rows_do_not_matter(
    table: Arms, margin: float, seed: int
) -> None:
    before, after, clusters = table
    random = np.random.default_rng(seed)
    order = random.permutation(len(clusters))
    names = random.permutation([f"genome {number}" for number in range(12)])
    renamed = [names[clusters[row]] for row in order]
    found = asdict(noninferiority(before, after, clusters, margin=margin))
    other = asdict(noninferiority(before[:, order], after[:, order], renamed, margin=margin))
    for name, value in found.items():
        close = pytest.approx(value, rel=1e-9, abs=1e-15) if isinstance(value, float) else value
        assert other[name] == close, name


@unhurried
@given(
    table=arms(least_rows=2, least_clusters=2, least_seeds=2),
    margin=margins,
    times=st.integers(2, 5),
)
def test_more_clusters_of_the_same_kind_bring_a_smaller_error(
    table: Arms, margin: float, times: int
) -> None:
    found = noninferiority(*table, margin=margin)
    more = noninferiority(*tiled(table, times), margin=margin)
    assert more.difference == pytest.approx(found.difference)
    assert more.seed_error == pytest.approx(found.seed_error)  # only seeds lessen it
    assert figure(more, "cluster_error") <= figure(found, "cluster_error")
    assert figure(more, "tango_error") < figure(found, "tango_error")
    assert figure(more, "standard_error") <= figure(found, "standard_error")


@unhurried
@given(table=arms(least_rows=2, least_clusters=2), times=st.integers(2, 5))
def test_more_clusters_shrink_the_interval_where_seeds_agree(table: Arms, times: int) -> None:
    before, after = (np.repeat(arm[:1], 3, axis=0) for arm in table[:2])
    agreeing = before, after, table[2]
    few = interval(noninferiority(*agreeing))
    many = interval(noninferiority(*tiled(agreeing, times)))
    assert many[1] - many[0] < few[1] - few[0]


@unhurried
@given(table=arms(), margin=margins)
def test_an_arm_against_itself_never_fails(table: Arms, margin: float) -> None:
    found = noninferiority(table[0], table[0].copy(), table[2], margin=margin)
    assert found.decision is not Decision.FAIL
    if found.lower is not None:
        assert found.difference == 0
        assert found.standard_error == found.tango_error
        most = max(equal_clusters(table[2]) - 1, 1)
        assert found.degrees_of_freedom == pytest.approx(most)
        assert found.upper == -found.lower


@unhurried
@given(table=arms(least_rows=4, least_clusters=3), margin=margins)
def test_as_many_clusters_as_are_needed_decide_and_one_fewer_does_not(
    table: Arms, margin: float
) -> None:
    before, after = (np.repeat(arm[:1], 3, axis=0) for arm in table[:2])
    found = noninferiority(before, after, table[2], margin=margin)
    needed = found.clusters_needed
    assume(needed is not None)
    assert needed is not None
    assert needed > found.clusters

    gain = pd.Series(after[0].astype(int) - before[0]).groupby(table[2]).agg(["sum", "size"])
    residual = gain["sum"] - gain["sum"].sum() / len(table[2]) * gain["size"]
    skewness = float(stats.skew(residual)) if figure(found, "cluster_error") else 0.0
    skewness *= 1 if figure(found, "difference") > -margin else -1

    def reach(count: int) -> float:
        """Both errors fall with the root of the number of clusters, of 3 seeds that agree."""
        error = figure(found, "standard_error") * math.sqrt(found.clusters / count)
        alike = equal_clusters(table[2]) * count / found.clusters
        return hall_root(max(alike - 1, 1), skewness, alike) * error

    gap = abs(figure(found, "difference") + margin)
    assert reach(needed) < gap * (1 + 1e-9)
    if needed > found.clusters + 1:
        assert reach(needed - 1) >= gap * (1 - 1e-9)
    if needed <= 20 * found.clusters:
        times = math.ceil(needed / found.clusters)
        more = noninferiority(*tiled((before, after, table[2]), times), margin=margin)
        assert more.decision is not Decision.INCONCLUSIVE


def test_no_number_of_clusters_makes_up_for_seeds_that_disagree() -> None:
    before = np.ones((2, 400), dtype=np.bool_)
    after = before.copy()
    after[1, ::10] = False  # one retraining lost a tenth, in every cluster alike
    found = noninferiority(before, after, np.arange(400) // 20, margin=0.01)
    assert found.decision is Decision.INCONCLUSIVE
    assert found.clusters_needed is None


# What is too little to judge


def agreeing(seeds: int, rows: int) -> Rows:
    return np.ones((seeds, rows), dtype=np.bool_)


@pytest.mark.parametrize(("seeds", "rows"), [(3, 0), (0, 0), (0, 5)])
def test_without_rows_or_seeds_nothing_is_known(seeds: int, rows: int) -> None:
    found = noninferiority(agreeing(seeds, rows), agreeing(seeds, rows), ["a"] * rows)
    assert found.decision is Decision.INCONCLUSIVE
    assert [getattr(found, name) for name in FIGURES] == [None] * len(FIGURES)
    assert (found.rows, found.seeds, found.clusters_needed) == (rows, seeds, None)


def test_one_cluster_has_a_difference_and_no_interval() -> None:
    after = agreeing(3, 50)
    after[:, :5] = False
    found = noninferiority(agreeing(3, 50), after, ["the only genome"] * 50)
    assert found.difference == pytest.approx(-0.1)
    assert (found.lower, found.upper, found.standard_error) == (None, None, None)
    assert found.decision is Decision.INCONCLUSIVE


def test_one_seed_has_an_interval_and_no_decision() -> None:
    found = noninferiority(agreeing(1, 5000), agreeing(1, 5000), np.arange(5000) // 10)
    assert found.lower is not None
    assert found.lower > -found.margin
    assert found.seed_error is None
    assert found.decision is Decision.INCONCLUSIVE
    assert found.clusters_needed is None


@pytest.mark.parametrize("right", [True, False])
def test_arms_that_agree_on_every_row_have_a_finite_interval_around_zero(right: bool) -> None:
    both = np.full((3, 600), right)
    found = noninferiority(both, both, np.arange(600) // 30, margin=0.05)
    assert found.difference == 0
    lower, upper = interval(found)
    assert -0.05 < lower < 0 < upper < 0.05
    assert found.decision is Decision.PASS


@pytest.mark.parametrize(
    ("after", "clusters", "levels", "words"),
    [
        (np.ones((2, 3)), [0, 1, 2], {}, "boolean"),
        (agreeing(2, 4), [0, 1, 2], {}, "do not fit"),
        (agreeing(2, 3), [0, 1], {}, "do not fit"),
        (agreeing(2, 3), [0, 1, 2], {"margin": 0.0}, "margin"),
        (agreeing(2, 3), [0, 1, 2], {"margin": math.nan}, "margin"),
        (agreeing(2, 3), [0, 1, 2], {"alpha": 0.5}, "alpha"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    after: Rows, clusters: list[int], levels: dict[str, float], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        noninferiority(agreeing(2, 3), after, np.array(clusters), **levels)


# The level at which it passes


levels = st.floats(1e-6, 0.49)


@unhurried
@given(
    table=arms(least_rows=1, least_seeds=2),
    margin=margins,
    times=st.one_of(st.sampled_from([0.999, 1.001]), st.floats(0.001, 1000)),
)
def test_it_passes_at_every_level_above_its_p_value_and_at_none_below(
    table: Arms, margin: float, times: float
) -> None:
    p = p_value(*table, margin=margin)
    alpha = times * p
    assume(1e-12 < alpha < 0.5 and not math.isclose(p, alpha, rel_tol=1e-6))
    found = noninferiority(*table, margin=margin, alpha=alpha)
    assert (found.decision is Decision.PASS) == (p < alpha)


@unhurried
@given(table=arms(least_rows=2, least_clusters=2), margin=margins, pair=st.tuples(levels, levels))
def test_a_stricter_level_never_has_the_shorter_interval(
    table: Arms, margin: float, pair: tuple[float, float]
) -> None:
    strict, mild = (
        interval(noninferiority(*table, margin=margin, alpha=alpha)) for alpha in sorted(pair)
    )
    assert strict[0] <= mild[0]
    assert strict[1] >= mild[1]


def test_one_seed_or_one_cluster_passes_at_no_level() -> None:
    right = np.ones((1, 40), dtype=np.bool_)
    assert p_value(right, right, np.arange(40) // 4, margin=0.4) == 1
    both = np.ones((2, 40), dtype=np.bool_)
    assert p_value(both, both, np.zeros(40), margin=0.4) == 1
    assert p_value(both[:, :0], both[:, :0], np.zeros(0), margin=0.4) == 1


@given(levels)
def test_all_of_the_fewest_clusters_lean_one_way_by_chance_less_often_than_the_level(
    alpha: float,
) -> None:
    fewest = fewest_clusters(alpha)
    assert stats.binom.pmf(fewest, fewest, 0.5) < alpha
    assert fewest == 1 or stats.binom.pmf(fewest - 1, fewest - 1, 0.5) >= alpha


def test_the_example_in_the_documentation_holds() -> None:
    results = doctest.testmod(sys.modules[noninferiority.__module__])
    assert results.attempted
    assert not results.failed


# What it is for


def at_the_margin(
    random: np.random.Generator, clusters: int, size: int, seeds: int, margin: float
) -> Arms:
    """Draw a candidate that loses exactly ``margin`` on average, more in some clusters and seeds.

    A row is lost, won or neither by one draw for all seeds; 30% are lost or won.
    """
    loss = margin + 0.15 * random.uniform(-1, 1, clusters)[:, None]
    loss = np.repeat(loss + 0.02 * random.standard_normal(seeds), size, axis=0).T
    draw = random.random(clusters * size)
    lost, won = draw < (0.3 + loss) / 2, draw > 1 - (0.3 - loss) / 2
    return ~won, ~lost, np.arange(clusters * size) // size


def naive_pass(before: Rows, after: Rows, margin: float) -> bool:
    """Row by row, as if neither clusters nor seeds were there."""
    gain = (after.astype(float) - before).mean(axis=0)
    return bool(gain.mean() - 1.96 * gain.std(ddof=1) / math.sqrt(gain.size) > -margin)


@pytest.mark.parametrize(("clusters", "size", "seeds"), [(12, 80, 3), (30, 40, 10)])
def test_a_candidate_at_the_margin_rarely_passes_and_by_rows_alone_often_would(
    clusters: int, size: int, seeds: int
) -> None:
    """Nominal 2.5%: of 1,000 draws, 5% are 5 standard errors more."""
    random = np.random.default_rng(clusters)
    passed, naive = 0, 0
    for _ in range(1000):
        before, after, names = at_the_margin(random, clusters, size, seeds, margin=0.05)
        found = noninferiority(before, after, names, margin=0.05)
        passed += found.decision is Decision.PASS
        naive += naive_pass(before, after, margin=0.05)
    assert passed <= 50
    assert naive > 60
