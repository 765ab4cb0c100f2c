"""How wide the features are, in data and by architecture."""

from __future__ import annotations

import pytest

from harness.migration import Migration
from harness.spec import ArmName


def test_merged_width_is_dna_plus_protein(migration: Migration, arm: ArmName) -> None:
    row = migration.widths(arm)
    assert row.merged == row.dna + row.protein
    assert row.protein == migration.arms.outline(arm).width


@pytest.mark.parametrize(("dna", "before", "after"), [(384, 2944, 1664), (768, 3328, 2048)])
def test_full_size_architectures_merge_to_the_published_widths(
    migration: Migration, dna: int, before: int, after: int
) -> None:
    rows = [migration.full_size_widths(name, dna) for name in ("esm2-3b", "fastesm2-650")]
    assert [row.protein for row in rows] == [2560, 1280]
    assert [row.merged for row in rows] == [before, after]
