"""A choice embeds and retrains the baseline once, on the rows that nobody rejects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from embedders import Embedder
from harness.arms import Arms
from harness.choice import CANDIDATES, Selection, Step, read_choice, verify
from harness.evidence import Decision
from harness.judge import read_predictions
from harness.migration import Migration
from harness.results import find, read_comparison
from harness.spec import ArmName
from tests.bundled import shortest, write_fasta
from tests.harness.picky import Picky

SPEC = """\
schema = 1
name = "small"
[baseline]
embedder = "mini-baseline"
weights = "mini"
[[candidates]]
name = "one"
embedder = "mini-candidate"
weights = "mini"
[[candidates]]
name = "two"
embedder = "mini-baseline"
weights = "mini"
runtime = "packed"
[[candidates]]
name = "unlearnt"
embedder = "mini-candidate"
weights = "random"
[[datasets]]
name = "d"
proteins = "p.faa"
labels = "l.csv"
[classification]
folds = 2
seeds = [0, 1]
[throughput]
dataset = "d"
sequences = 8
rounds = 2
[gates]
sensitivity_margin = 0.2
specificity_margin = 0.2
speedup_at_least = 1.0
"""
COUNT = 80


@dataclass
class Ran:
    """A whole choice without its timed steps, and what was loaded and embedded on the way."""

    folder: Path
    selection: Selection
    refused: str
    loaded: list[str]
    most_at_once: int


TIMED = ("widths", "parity", "likeness", "throughput", "speed-up", "repeated", "memory")


def learn(steps: Iterator[Step]) -> Iterator[Step]:
    """Leave out the steps that audit or time: they are tested elsewhere."""
    return ((name, step) for name, step in steps if not any(word in name for word in TIMED))


def write_inputs(folder: Path) -> None:
    """Write a choice on the shortest bundled proteins, labelled without sense in groups of 2."""
    records = shortest(COUNT)
    write_fasta(folder / "p.faa", records)
    words = ("viral", "host")
    labels = [f"{name},{words[n % 2]},g{n // 4 * 2 + n % 2}" for n, name in enumerate(records)]
    (folder / "l.csv").write_text("\n".join(["id,label,group", *labels]) + "\n", "utf-8")
    (folder / "choice.toml").write_text(SPEC, "utf-8")


def prepared(folder: Path) -> Selection:
    write_inputs(folder)
    return Selection.prepare(
        folder / "choice.toml", results=folder / "results", command="harness choose"
    )


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    records = shortest(COUNT)
    refused = list(records)[7]
    loaded: list[str] = []
    most = 0
    plain = Arms.embedder

    def embedder(arms: Arms, arm: ArmName) -> Embedder:
        fresh = arm not in arms._loaded
        found = plain(arms, arm)
        name = "baseline" if arm is ArmName.BASELINE else arms.spec.name
        if fresh:
            loaded.append(name)
        return Picky(found, records[refused]) if name == "small-two" else found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Arms, "embedder", embedder)
        selection = prepared(tmp_path_factory.mktemp("inputs"))
        for _, step in learn(selection.steps()):
            step()
            held = sum(
                ArmName.CANDIDATE in each.arms._loaded for each in selection._migrations.values()
            )
            most = max(most, held)
        selection.conclude()
    return Ran(selection.folder, selection, refused, loaded, most)


def test_what_one_candidate_rejects_is_left_out_of_all(ran: Ran) -> None:
    for name in ("one", "two"):
        for arm in ArmName:
            file = ran.folder / CANDIDATES / name / "predictions" / f"d-{arm}.csv"
            ids = read_predictions(file).examples.ids
            assert len(ids) == COUNT - 1
            assert ran.refused not in ids


def test_the_baseline_is_embedded_and_retrained_once(ran: Ran) -> None:
    features = sorted(ran.folder.glob(f"{CANDIDATES}/*/features/baseline/d/protein"))
    assert [each.parents[3].name for each in features] == ["one"]
    for name in ("one", "two"):
        parts = [each.part for each in read_comparison(ran.folder / CANDIDATES / name).extraction]
        assert parts == ["baseline", "candidate"]
    files = [
        ran.folder / CANDIDATES / name / "predictions" / "d-baseline.csv" for name in ("one", "two")
    ]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_one_candidate_is_in_memory_at_a_time(ran: Ran) -> None:
    assert ran.most_at_once == 1
    assert ran.loaded.count("small-one") == 2  # to embed, and for its classification


def test_weights_that_learnt_nothing_are_not_classified_and_never_pass(ran: Ran) -> None:
    choice = read_choice(ran.folder)
    assert choice.standings[2].decision is Decision.INCONCLUSIVE
    assert choice.standings[2].p_value == 1
    own = read_comparison(ran.folder / CANDIDATES / "unlearnt")
    assert find(own.classification, arm="candidate") is None
    assert find(own.classification, arm="baseline") is not None


def test_what_was_left_out_of_a_choice_keeps_it_open_and_it_still_follows(ran: Ran) -> None:
    """No step was timed, so that nobody can be named; what was found can be computed again."""
    choice = read_choice(ran.folder)
    assert choice.chosen is None
    assert choice.verdict.decision is not Decision.PASS
    verify(choice, ran.folder)


def test_a_candidate_among_others_has_the_predictions_that_it_has_alone(tmp_path: Path) -> None:
    selection = prepared(tmp_path)
    for _, step in learn(selection.steps()):
        step()
    spec = selection.spec
    alone = Migration(
        spec.migration(spec.candidates[1]),
        tmp_path / "alone",
        spec_file=tmp_path / "choice.toml",
        command="harness migrate",
    )
    for arm in ArmName:
        alone.retraining.classify("d", arm)
        file = Path("predictions") / f"d-{arm}.csv"
        among = selection.folder / CANDIDATES / "two" / file
        assert (tmp_path / "alone" / file).read_bytes() == among.read_bytes()
