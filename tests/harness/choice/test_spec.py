"""A choice file is read strictly or refused with the key's name."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import DEMO
from harness.choice import Cost, read_choice_spec
from harness.judge import Multiplicity
from harness.spec import Arm, SpecError, read_spec

SHIPPED = DEMO.with_name("choice.toml")
MINIMAL = """\
schema = 1
name = "c"
[baseline]
embedder = "esm2-8m"
[[candidates]]
name = "small"
embedder = "esm2-8m"
dtype = "bfloat16"
[[candidates]]
name = "fast"
embedder = "esm2-8m"
runtime = "packed"
[[datasets]]
name = "d"
proteins = "p.faa"
labels = "l.csv"
[throughput]
dataset = "d"
[gates]
sensitivity_margin = 0.05
specificity_margin = 0.05
"""


def write(folder: Path, text: str) -> Path:
    (folder / "p.faa").touch()
    (folder / "l.csv").touch()
    path = folder / "choice.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_is_left_out_is_holm_by_time(tmp_path: Path) -> None:
    spec = read_choice_spec(write(tmp_path, MINIMAL))
    assert spec.multiplicity is Multiplicity.HOLM
    assert spec.cost is Cost.TIME
    assert spec.gates.alpha == 0.025
    assert spec.datasets[0].proteins == tmp_path / "p.faa"


def test_a_candidate_becomes_the_arm_of_a_migration(tmp_path: Path) -> None:
    spec = read_choice_spec(write(tmp_path, MINIMAL))
    migration = spec.migration(spec.candidates[0])
    assert migration.candidate == Arm("esm2-8m", dtype="bfloat16")
    assert migration.baseline == spec.baseline
    assert migration.name == "c-small"
    assert migration.gates == spec.gates


def test_overrides_reach_every_arm(tmp_path: Path) -> None:
    spec = read_choice_spec(write(tmp_path, MINIMAL)).with_overrides(weights="random", layers=2)
    arms = (spec.baseline, *spec.candidates)
    assert {(each.weights, each.layers) for each in arms} == {("random", 2)}
    assert [each.name for each in spec.candidates] == ["small", "fast"]


def test_the_shipped_choice_asks_what_the_demo_asks_of_the_proteins() -> None:
    choice, demo = read_choice_spec(SHIPPED), read_spec(DEMO)
    assert choice.gates == demo.gates
    assert choice.splits == demo.splits
    assert choice.datasets == (demo.dataset("proteins"),)
    assert choice.classification == demo.classification
    assert len(choice.candidates) == 4


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('name = "c"', 'name = "c"\nmultiplicty = "holm"', ["did you mean 'multiplicity'"]),
        ('name = "c"', 'name = "c"\nmultiplicity = "sidak"', ["multiplicity", "'sidak'"]),
        ('name = "c"', 'name = "c"\ncost = "money"', ["cost", "'money'"]),
        ('dtype = "bfloat16"', 'dtyp = "bfloat16"', ["candidates[0].dtyp", "mean 'dtype'"]),
        ('name = "small"\n', "", ["missing key", "name"]),
        ('"small"', '"fast"', ["candidates need distinct names"]),
        ('"small"', '"FAST"', ["candidates need distinct names"]),
        ('"small"', '"../small"', ["candidate name '../small'", "letters"]),
        ('"small"', '""', ["candidate name ''"]),
        ("[[candidates]]", "[candidate]", ["did you mean 'candidates'"]),
        ("[gates]", "[gates]\nalpha = 0.5", ["alpha must lie between 0 and one half"]),
        ("[gates]", "[gates]\nalpha = 0", ["alpha must lie between 0 and one half"]),
        ('labels = "l.csv"', 'labels = "no.csv"', ["no such file", "no.csv"]),
    ],
)
def test_a_fault_is_named_with_file_and_key(
    tmp_path: Path, old: str, new: str, words: list[str]
) -> None:
    path = write(tmp_path, MINIMAL.replace(old, new, 1))
    with pytest.raises(SpecError) as caught:
        read_choice_spec(path)
    for word in (str(path), *words):
        assert word in str(caught.value)
