"""A data set becomes labelled features: DNA first, ids and labels kept together."""

from __future__ import annotations

import hashlib
import random
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest
import torch

from embedders import InputError, load
from harness import judge
from harness.preparation import Preparation
from harness.spec import (
    Arm,
    ArmName,
    ClassificationPlan,
    Dataset,
    Dna,
    Gates,
    GroupSource,
    MigrationSpec,
    Splits,
    ThroughputPlan,
)
from tests.harness.picky import Picky

IDS = [f"c{number // 2}_chunk_1F{number % 2 + 1}" for number in range(6)]
ARM = Arm("esm2-8m", weights="random", layers=1)
DNABERT_WIDTH = 768


def write_inputs(folder: Path) -> None:
    draw = random.Random(1)
    residues = {each: "".join(draw.choices("ACDEFGHIKL", k=20)) for each in IDS}
    records = "".join(f">{each}\n{sequence}\n" for each, sequence in residues.items())
    (folder / "p.faa").write_text(records, "utf-8")
    labels = [f"{each},{'viral' if n < 4 else 'host'},g{n // 2}" for n, each in enumerate(IDS)]
    (folder / "l.csv").write_text("\n".join(["id,label,group", *labels]) + "\n", "utf-8")
    rows = {each: [draw.gauss(0, 1) for _ in range(DNABERT_WIDTH)] for each in reversed(IDS)}
    (folder / "dnabert").mkdir()
    torch.save(
        {
            "nucleotide": list(rows),
            "data": [{"label": each, "mean_representation": row} for each, row in rows.items()],
        },
        folder / "dnabert" / "seqs_DNABERT_S.pt",
    )


def migration(
    folder: Path, *, nucleotides: Path | None = None, dna_features: Path | None = None
) -> MigrationSpec:
    return MigrationSpec(
        schema=1,
        name="m",
        baseline=ARM,
        candidate=ARM,
        datasets=(Dataset("d", folder / "p.faa", folder / "l.csv", nucleotides, dna_features),),
        throughput=ThroughputPlan("d"),
        gates=Gates(0.05, 0.05),
        dna=Dna(),
        classification=ClassificationPlan(),
    )


def test_existing_dnabert_files_are_joined_by_id(tmp_path: Path) -> None:
    write_inputs(tmp_path)
    spec = migration(tmp_path, dna_features=tmp_path / "dnabert")
    preparation = Preparation(spec, tmp_path / "features")
    assert preparation.dna_width() == DNABERT_WIDTH
    table = preparation.features(
        spec.datasets[0], ArmName.BASELINE, {ArmName.BASELINE: preparation.loader(ARM)()}
    )
    matrix = torch.cat(table.blocks)
    assert matrix.shape == (6, DNABERT_WIDTH + 320)
    assert table.examples.ids == tuple(IDS)
    assert table.examples.labels.tolist() == [1, 1, 1, 1, 0, 0]
    assert table.examples.contigs == ("c0", "c0", "c1", "c1", "c2", "c2")
    stored = torch.load(tmp_path / "dnabert" / "seqs_DNABERT_S.pt", weights_only=True)
    written = {row["label"]: row["mean_representation"] for row in stored["data"]}
    for each, row in zip(table.examples.ids, matrix, strict=True):
        assert torch.equal(row[:DNABERT_WIDTH], torch.tensor(written[each]))


def test_arms_write_to_folders_of_their_own(tmp_path: Path) -> None:
    write_inputs(tmp_path)
    spec = migration(tmp_path)
    preparation = Preparation(spec, tmp_path / "features")
    embedder = preparation.loader(ARM)()
    for arm in ArmName:
        preparation.features(spec.datasets[0], arm, dict.fromkeys(ArmName, embedder))
    assert {path.name for path in (tmp_path / "features").iterdir()} == {"baseline", "candidate"}
    assert [path.name for path in (tmp_path / "splits").iterdir()] == ["d.csv"]
    assert [item.part for item in preparation.extractions] == ["baseline", "candidate"]


def test_a_rejected_record_needs_no_features_but_any_other_does(tmp_path: Path) -> None:
    write_inputs(tmp_path)
    text = (tmp_path / "p.faa").read_text("utf-8")
    spoilt = text.replace(f">{IDS[0]}\n", f">{IDS[0]}\nAA*")
    (tmp_path / "p.faa").write_text(spoilt, "utf-8")
    spec = migration(tmp_path, dna_features=tmp_path / "dnabert")
    preparation = Preparation(spec, tmp_path / "features")
    embedder = preparation.loader(ARM)()
    table = preparation.features(spec.datasets[0], ArmName.BASELINE, {ArmName.BASELINE: embedder})
    assert table.examples.ids == tuple(IDS[1:])
    with (tmp_path / "l.csv").open("a", encoding="utf-8") as stream:
        stream.write("ghost,viral,g9\n")
    with pytest.raises(InputError, match="ghost"):
        preparation.features(spec.datasets[0], ArmName.CANDIDATE, {ArmName.CANDIDATE: embedder})


@pytest.mark.parametrize("with_dna", [True, False])
def test_a_record_that_a_candidate_beside_rejects_is_left_out_of_every_arm(
    tmp_path: Path, with_dna: bool
) -> None:
    write_inputs(tmp_path)
    spec = migration(tmp_path, **({"dna_features": tmp_path / "dnabert"} if with_dna else {}))
    dataset = spec.datasets[0]
    first = Preparation(spec, tmp_path / "1" / "features")
    second = Preparation(spec, tmp_path / "2" / "features", first=first)
    plain = first.loader(ARM)()
    third = (tmp_path / "p.faa").read_text("utf-8").splitlines()[5]
    arms = {
        first: {ArmName.BASELINE: plain, ArmName.CANDIDATE: plain},
        second: {ArmName.BASELINE: plain, ArmName.CANDIDATE: Picky(plain, third)},
    }
    for preparation, embedders in arms.items():
        for arm, embedder in embedders.items():
            preparation.embed(dataset, arm, embedder)
    tables = [
        preparation.features(dataset, arm, embedders)
        for preparation, embedders in arms.items()
        for arm in ArmName
    ]
    for table in tables:
        assert table.examples.ids == (*IDS[:2], *IDS[3:])
        assert torch.equal(torch.cat(table.blocks), torch.cat(tables[0].blocks))
    assert [each.part for each in second.extractions] == ["baseline", "candidate"]
    assert not (tmp_path / "2" / "features" / "baseline").exists()
    splits = [(tmp_path / run / "splits" / "d.csv").read_bytes() for run in "12"]
    assert splits[0] == splits[1]
    assert first.grouping(dataset) == second.grouping(dataset)


@pytest.mark.parametrize("with_dna", [True, False])
def test_a_record_that_one_arm_rejects_is_left_out_of_both(tmp_path: Path, with_dna: bool) -> None:
    write_inputs(tmp_path)
    dna = {"dna_features": tmp_path / "dnabert"} if with_dna else {}
    spec = migration(tmp_path, **dna)
    preparation = Preparation(spec, tmp_path / "features")
    embedder = preparation.loader(ARM)()
    third = (tmp_path / "p.faa").read_text("utf-8").splitlines()[5]
    embedders = {ArmName.BASELINE: embedder, ArmName.CANDIDATE: Picky(embedder, third)}
    tables = [preparation.features(spec.datasets[0], arm, embedders) for arm in ArmName]
    for table in tables:
        assert table.examples.ids == (*IDS[:2], *IDS[3:])
        assert sum(len(block) for block in table.blocks) == 5
    ours, theirs = (torch.cat(table.blocks) for table in tables)
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert [(item.part, item.rejected) for item in preparation.extractions] == [
        ("baseline", 0),
        ("candidate", 1),
    ]


def test_rows_are_grouped_once_for_both_arms_by_what_the_plan_lists(tmp_path: Path) -> None:
    write_inputs(tmp_path)
    text = (tmp_path / "p.faa").read_text("utf-8")
    first, last = text.splitlines()[1], text.splitlines()[-1]
    # the proteins of c0 and c2 become equal; c0 and c1 are one given group
    (tmp_path / "p.faa").write_text(text.replace(last, first), "utf-8")
    relabelled = (tmp_path / "l.csv").read_text("utf-8").replace("g1", "g0")
    (tmp_path / "l.csv").write_text(relabelled, "utf-8")
    sources = (GroupSource.ACCESSION, GroupSource.COLUMN)
    components = {}
    for more in ((), (GroupSource.HOMOLOGY,)):
        plan = Splits(groups=(*sources, *more), tool="pyhmmer")
        spec = replace(migration(tmp_path), splits=plan)
        preparation = Preparation(spec, tmp_path / f"run{len(more)}" / "features")
        components[len(more)] = preparation.rows(spec.datasets[0]).components
        assert preparation.rows(spec.datasets[0]) is preparation.rows(spec.datasets[0])
    assert components == {0: ("g0",) * 4 + ("g2",) * 2, 1: ("g0",) * 6}


def test_the_grouping_names_tool_counts_and_file(tmp_path: Path) -> None:
    write_inputs(tmp_path)
    spec = replace(migration(tmp_path), splits=Splits(tool="pyhmmer"))
    preparation = Preparation(spec, tmp_path / "features")
    found = preparation.grouping(spec.datasets[0])
    assert (found.tool, found.identity, found.coverage) == ("pyhmmer", 0.3, 0.5)
    assert found.tool_version == metadata.version("pyhmmer")
    assert (found.rows, found.given_groups, found.components, found.largest_rows) == (6, 3, 3, 2)
    assert found.clusters == 6
    assert found.sources == ("accession", "column")
    file = tmp_path / found.file
    assert file == tmp_path / "splits" / "d.csv"
    assert found.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    stored = judge.read_rows(file)
    assert judge.strata(stored, IDS) == preparation.strata(spec.datasets[0])


def test_strata_are_those_of_the_rows_that_were_classified(tmp_path: Path) -> None:
    write_inputs(tmp_path)
    spoilt = (tmp_path / "p.faa").read_text("utf-8").replace(f">{IDS[0]}\n", f">{IDS[0]}\nAA*")
    (tmp_path / "p.faa").write_text(spoilt, "utf-8")
    spec = migration(tmp_path)
    preparation = Preparation(spec, tmp_path / "features")
    embedder = preparation.loader(ARM)()
    table = preparation.features(spec.datasets[0], ArmName.BASELINE, {ArmName.BASELINE: embedder})
    found = preparation.strata(spec.datasets[0])
    assert found["length"] == ("1-60",) * len(table.examples)
    assert found["frame"] == ("F2", "F1", "F2", "F1", "F2")
    assert found["group"] == ("g0", "g1", "g1", "g2", "g2")


def test_a_column_of_groups_that_is_not_there_is_named(tmp_path: Path) -> None:
    write_inputs(tmp_path)
    spec = replace(migration(tmp_path), splits=Splits(column="genus"))
    with pytest.raises(InputError, match=r"'genus'.*splits.column to one of: group"):
        Preparation(spec, tmp_path / "features").rows(spec.datasets[0])


def test_too_many_proteins_are_not_searched_for_the_report_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_inputs(tmp_path)
    monkeypatch.setattr("harness.groups.MOST_SEARCHED_FOR_THE_REPORT", 5)
    spec = migration(tmp_path)
    found = Preparation(spec, tmp_path / "features").grouping(spec.datasets[0])
    assert (found.tool, found.identity, found.clusters, found.leaks) == (None, None, None, ())


def test_parity_reference_is_the_same_checkpoint_on_the_other_library(tmp_path: Path) -> None:
    write_inputs(tmp_path)
    spec = migration(tmp_path)
    preparation = Preparation(spec, tmp_path / "features")
    reference = preparation.loader(ARM, runtime="huggingface", dtype="float32")()
    ours = load("esm2-8m", weights="random", layers=1, runtime="fair-esm")
    assert reference.spec.runtime == "huggingface"
    assert reference.spec.weights == ours.spec.weights
