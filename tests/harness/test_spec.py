"""A migration file is read strictly or refused with the key's name."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import DEMO
from embedders import Truncation
from harness.spec import ArmName, MigrationSpec, SpecError, read_spec

REAL = Path(__file__).parents[2] / "migrations" / "esm2-3b_to_fastesm2-650.toml"

MINIMAL = """\
schema = 1
name = "m"
[baseline]
embedder = "esm2-8m"
[candidate]
embedder = "esm2-8m"
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
    path = folder / "spec.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("path", [DEMO, REAL], ids=["demo", "real"])
def test_shipped_migrations_are_valid(path: Path) -> None:
    spec = read_spec(path)
    assert spec.baseline.embedder != spec.candidate.embedder
    assert all(dataset.proteins.is_file() for dataset in spec.datasets)


def test_relative_paths_start_at_the_file(tmp_path: Path) -> None:
    spec = read_spec(write(tmp_path, MINIMAL))
    assert spec.datasets[0].proteins == tmp_path / "p.faa"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("embedder = ", "embeder = ", ["baseline.embeder", "did you mean 'embedder'"]),
        ("sensitivity_margin", "sensitivty_margin", ["gates.sensitivty_margin"]),
        ("schema = 1", 'schema = "1"', ["schema", "expected int", "'1'"]),
        ("schema = 1", "schema = 2", ["schema must be 1"]),
        ("schema = 1", "schema = true", ["schema", "expected int"]),
        ('name = "m"', "", ["missing key 'name'"]),
        ('name = "d"', 'name = "a/b"', ["a/b", "letters"]),
        ("= 0.05", "= 5", ["sensitivity_margin must lie between 0 and 1"]),
        ('dataset = "d"', 'dataset = "x"', ["throughput.dataset 'x'"]),
        ('proteins = "p.faa"', 'proteins = "gone.faa"', ["no such file", "gone.faa"]),
        ('dataset = "d"', 'dataset = "d"\nrounds = 1', ["rounds must be at least 2"]),
        ("[gates]", "[gates", ["not valid TOML"]),
        ("[gates]", "[gates]\nspeedup_at_least = inf", ["speedup_at_least must be a number above"]),
        ("[[datasets]]", "[datasets]", ["datasets[0]: a table or an array is out of place"]),
        ("[gates]", '[embedding]\ntruncation = "up"\n[gates]', ["embedding.truncation", "'up'"]),
        ("[gates]", "[embedding]\ntruncation = 3\n[gates]", ["embedding.truncation", "str, got 3"]),
    ],
)
def test_a_fault_is_named_with_file_and_key(
    tmp_path: Path, old: str, new: str, words: list[str]
) -> None:
    path = write(tmp_path, MINIMAL.replace(old, new, 1))
    with pytest.raises(SpecError) as caught:
        read_spec(path)
    for word in [str(path), *words]:
        assert word in str(caught.value)


# every table that a migration file may have, and a second table of an array
WHOLE = f"""\
{MINIMAL}
[dna]
embedder = "kmer4"
[embedding]
device = "cpu"
[classification]
folds = 5
[[datasets]]
name = "e"
proteins = "p.faa"
labels = "l.csv"
"""


@pytest.mark.parametrize(
    ("before", "wrong", "where", "near"),
    [
        ("schema = 1", "titel", "titel", "title"),
        ("[baseline]", "weigths", "baseline.weigths", "weights"),
        ("[candidate]", "expected_widht", "candidate.expected_widht", "expected_width"),
        ('name = "d"', "nucleotide", "datasets[0].nucleotide", "nucleotides"),
        ('name = "e"', "dna_feature", "datasets[1].dna_feature", "dna_features"),
        ("[throughput]", "round", "throughput.round", "rounds"),
        ("[gates]", "speed_up_at_least", "gates.speed_up_at_least", "speedup_at_least"),
        ("[dna]", "revison", "dna.revison", "revision"),
        ("[embedding]", "shardsize", "embedding.shardsize", "shard_size"),
        ("[classification]", "seed", "classification.seed", "seeds"),
    ],
)
def test_an_unknown_key_of_any_table_is_named_with_the_nearest(
    tmp_path: Path, before: str, wrong: str, where: str, near: str
) -> None:
    path = write(tmp_path, WHOLE.replace(before, f"{before}\n{wrong} = 1", 1))
    with pytest.raises(SpecError) as caught:
        read_spec(path)
    assert str(caught.value) == f"{path}: unknown key {where!r}; did you mean {near!r}?"


def test_an_unknown_key_that_is_near_to_none_is_told_all(tmp_path: Path) -> None:
    path = write(tmp_path, WHOLE.replace("[throughput]", "[throughput]\nqqq = 1"))
    with pytest.raises(SpecError, match="known: dataset, sequences, rounds, warmup_rounds"):
        read_spec(path)


@pytest.mark.parametrize(
    ("old", "new", "where", "expected"),
    [
        ('name = "m"', "name = 3", "name", "expected str, got 3"),
        ("[baseline]", "[baseline]\nremote_code = 'yes'", "baseline.remote_code", "expected bool"),
        ("[baseline]", "[baseline]\nremote_code = 1", "baseline.remote_code", "expected bool"),
        ("[candidate]", "[candidate]\nlayers = '2'", "candidate.layers", "expected int, got '2'"),
        ("[candidate]", "[candidate]\nlayers = 2.0", "candidate.layers", "expected int, got 2.0"),
        ("[candidate]", "[candidate]\nweights = 1979-05-27", "candidate.weights", "expected str"),
        ('"p.faa"', "3", "datasets[0].proteins", "expected str, got 3"),
        ('"e"\nproteins = "p.faa"', '"e"\nproteins = []', "datasets[1].proteins", "expected str"),
        ("folds = 5", "folds = true", "classification.folds", "expected int, got True"),
        ("folds = 5", "seeds = [0, '1']", "classification.seeds[1]", "expected int, got '1'"),
        ("= 0.05", "= '0.05'", "gates.sensitivity_margin", "expected float, got '0.05'"),
        ("= 0.05", "= true", "gates.sensitivity_margin", "expected float, got True"),
    ],
)
def test_a_value_of_a_wrong_type_is_named_with_the_right_one(
    tmp_path: Path, old: str, new: str, where: str, expected: str
) -> None:
    path = write(tmp_path, WHOLE.replace(old, new, 1))
    with pytest.raises(SpecError) as caught:
        read_spec(path)
    assert f"{where}: {expected}" in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("[baseline]", "[[baseline]]", "baseline: "),
        ('[throughput]\ndataset = "d"', "[throughput]\ndataset = {}", "throughput.dataset: "),
        ("[classification]\nfolds = 5", "[classification]\nseeds = 3", "classification.seeds: "),
    ],
)
def test_a_table_or_list_out_of_place_is_named(
    tmp_path: Path, old: str, new: str, where: str
) -> None:
    assert old in WHOLE
    with pytest.raises(SpecError) as caught:
        read_spec(write(tmp_path, WHOLE.replace(old, new, 1)))
    assert where in str(caught.value)


@pytest.mark.parametrize("policy", list(Truncation))
def test_truncation_is_read_as_the_policy_it_names(tmp_path: Path, policy: Truncation) -> None:
    text = MINIMAL + f'[embedding]\ntruncation = "{policy}"\n'
    assert read_spec(write(tmp_path, text)).embedding.truncation is policy


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"none\.toml: cannot be read"):
        read_spec(tmp_path / "none.toml")


def test_both_kinds_of_dna_are_refused(tmp_path: Path) -> None:
    (tmp_path / "dna").mkdir()
    both = 'labels = "l.csv"\nnucleotides = "p.faa"\ndna_features = "dna"'
    with pytest.raises(SpecError, match="not both"):
        read_spec(write(tmp_path, MINIMAL.replace('labels = "l.csv"', both)))


def test_overrides_reach_both_arms_and_leave_the_original(tmp_path: Path) -> None:
    spec = read_spec(write(tmp_path, MINIMAL))
    changed: MigrationSpec = spec.with_overrides(weights="random:3", device="cpu", layers=2)
    for name in ArmName:
        assert (changed.arm(name).weights, changed.arm(name).layers) == ("random:3", 2)
        assert spec.arm(name).layers is None
    assert changed.embedding.device == "cpu"
    assert spec.with_overrides() == spec
