"""Near twins are counted across every cut, and components leave none."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.judge.homology import Homologues
from harness.judge.leaks import Twins, leak_checks
from harness.judge.rows import Rows, joined
from harness.judge.splits import Fold
from harness.spec import GroupSource


def homologues(protein_of: list[int], pairs: list[tuple[int, int]]) -> Homologues:
    return Homologues(
        np.array(protein_of, dtype=np.int64),
        np.array(sorted({(min(p), max(p)) for p in pairs}), dtype=np.int64).reshape(-1, 2),
        "test",
        "1",
    )


def table(contigs: list[str], groups: list[str], found: Homologues) -> Rows:
    ids = [f"r{row:03}" for row in range(len(contigs))]
    clusters = found.clusters(ids)
    return Rows(
        ids=tuple(ids),
        contigs=tuple(contigs),
        labels=tuple(("host", "viral")[row % 2] for row in range(len(ids))),
        groups=tuple(groups),
        clusters=clusters,
        components=joined(groups, contigs, clusters, tuple(GroupSource)),
        residues=(100,) * len(ids),
        frames=("",) * len(ids),
    )


def brute_force(contigs: list[str], found: Homologues, fold: Fold) -> list[bool]:
    """Compare every test row with every training row, one by one."""
    pairs = {frozenset(pair) for pair in found.pairs.tolist()}

    def twins(row: int, other: int) -> bool:
        ours, theirs = found.protein_of[[row, other]].tolist()
        return (
            contigs[row] == contigs[other] or ours == theirs or frozenset((ours, theirs)) in pairs
        )

    return [any(twins(row, other) for other in fold.train) for row in fold.test]


@settings(deadline=None)
@given(st.data())
def test_twins_across_a_fold_are_those_of_a_comparison_one_by_one(data: st.DataObject) -> None:
    rows, proteins = 14, 8
    some = st.integers(0, proteins - 1)
    numbers = data.draw(st.lists(some, min_size=rows - proteins, max_size=rows - proteins))
    found = homologues(
        [*range(proteins), *numbers],
        [pair for pair in data.draw(st.lists(st.tuples(some, some))) if pair[0] != pair[1]],
    )
    contigs = data.draw(st.lists(st.sampled_from("abcdefghijkl"), min_size=rows, max_size=rows))
    order = np.array(data.draw(st.permutations(range(rows))))
    fold = Fold(np.sort(order[:9]), np.sort(order[9:]))
    assert Twins(contigs, found).across(fold).tolist() == brute_force(contigs, found, fold)


@settings(deadline=None, max_examples=25)
@given(
    pairs=st.lists(st.tuples(st.integers(0, 59), st.integers(0, 59)), max_size=25),
    seed=st.integers(0, 99),
)
def test_components_with_homology_leave_no_twin(pairs: list[tuple[int, int]], seed: int) -> None:
    found = homologues(list(range(60)), [pair for pair in pairs if pair[0] != pair[1]])
    rows = table([f"c{row}" for row in range(60)], [f"g{row}" for row in range(60)], found)
    for check in leak_checks(rows, found, folds=2, seeds=[seed, seed + 1]):
        if check.cut == "as judged":
            assert check.twins == 0
            assert check.rows == 60


def test_each_way_of_cutting_is_counted() -> None:
    # 20 contigs of 2 rows a group of their own; rows 0 and 38 have homologous proteins
    contigs = [f"c{row // 4}_{row % 2}" for row in range(40)]
    found = homologues(list(range(40)), [(0, 38)])
    rows = table(contigs, [f"g{row // 2}" for row in range(40)], found)
    checks = {each.cut: each.twins for each in leak_checks(rows, found, folds=5, seeds=range(20))}
    assert checks["as judged"] == 0
    # given groups part both rows of a contig and the planted pair, though never all of them
    assert 0 < checks["by given groups"] < 40
    assert checks["by row"] > 0


def test_a_cut_that_cannot_be_made_is_left_out() -> None:
    found = homologues(list(range(8)), [])
    rows = table([f"c{row}" for row in range(8)], ["g"] * 8, found)
    assert [each.cut for each in leak_checks(rows, found, folds=2, seeds=[0])] == ["by row"]
