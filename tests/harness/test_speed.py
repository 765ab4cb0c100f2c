"""Sweep, attribution and runtimes side by side: structure and arithmetic, no figure of time."""

from __future__ import annotations

import csv
import json
import math
import xml.etree.ElementTree as ET
from functools import partial
from pathlib import Path

import pytest
import torch

from benchmarks import DEMO
from embedders import RUNTIMES, Embedder, InputError, load
from harness import provenance, speed
from harness.cli import main
from harness.speed.budgets import _fitting
from tests.bundled import proteins

FASTA = DEMO.parent / "data" / "proteins.faa.gz"
SEQUENCES = [each[:60] for each in proteins(12).values()]


def _run(*arguments: str) -> None:
    assert main(list(arguments)) == 0


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sweep") / "out"
    chosen = ("--embedder", "mini-candidate", "--runtime", "packed", "--device", "cpu")
    sizes = ("--budgets", "600,300", "--sequences", "4", "--rounds", "2")
    _run("sweep", str(FASTA), *chosen, *sizes, "-o", str(folder))
    return folder


def test_a_sweep_writes_each_budget_in_order_with_an_interval(swept: Path) -> None:
    found = json.loads((swept / "sweep.json").read_text(encoding="utf-8"))
    with (swept / "sweep.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["tokens_per_batch"]) for row in rows] == [300, 600]
    for row, point in zip(rows, found["points"], strict=True):
        assert float(row["residues_per_s"]) == point["residues_per_s"]
        assert 0 < point["lower"] <= point["residues_per_s"] <= point["upper"]
        assert point["padding"] == 0  # packed has none
        assert point["peak_bytes"] > 0
    assert found["largest_fitting"] == 600
    assert found["failed"] is None
    assert found["best"] in (300, 600)
    assert found["provenance"]["inputs"][0][0].endswith("proteins.faa.gz")


def test_the_plot_is_xml_that_needs_nothing_else(swept: Path) -> None:
    text = (swept / "sweep.svg").read_text(encoding="utf-8")
    ET.fromstring(text)  # noqa: S314 - our own file
    for label in ("tokens per batch", "residues per second", "300", "600", "mini-candidate"):
        assert label in text
    assert 'href="http' not in text


def test_a_folder_with_results_is_refused(swept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["sweep", str(FASTA), "--embedder", "mini-candidate", "--sequences", "1"]
    assert main([*arguments, "--budgets", "200", "--rounds", "2", "-o", str(swept)]) == 2
    assert "results are never replaced" in capsys.readouterr().err


def test_batch_sizes_are_budgets_at_one_length(tmp_path: Path) -> None:
    chosen = ("--embedder", "mini-candidate", "--batch-sizes", "1,3", "--length", "50")
    _run(
        *("sweep", str(FASTA), *chosen, "--sequences", "3", "--rounds", "2"),
        *("-o", str(tmp_path / "out")),
    )
    found = json.loads((tmp_path / "out" / "sweep.json").read_text(encoding="utf-8"))
    assert [point["batches"] for point in found["points"]] == [3, 1]
    assert found["residues"] == 150


class _Small:
    """Runs out of memory above a budget."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.spec = load("mini-candidate", device="cpu").spec

    def embed(self, sequences: list[str], *, tokens_per_batch: int) -> torch.Tensor:
        if tokens_per_batch > self._limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return torch.zeros((len(sequences), self.spec.width))


def test_a_sweep_ends_at_the_first_budget_that_does_not_fit() -> None:
    small: Embedder = _Small(500)  # type: ignore[assignment]
    assert _fitting(small, SEQUENCES, [100, 400, 800, 1600]) == ([100, 400], 800)
    with pytest.raises(InputError, match="smaller budget"):
        _fitting(small, SEQUENCES, [800])


def test_factors_multiply_to_the_total_in_both_orders(tmp_path: Path) -> None:
    names = ("mini-baseline", "mini-candidate")
    _run(
        *("attribute", str(FASTA), *names, "--sequences", "2", "--rounds", "2"),
        *("--device", "cpu", "-o", str(tmp_path / "out")),
    )
    found = json.loads((tmp_path / "out" / "attribution.json").read_text(encoding="utf-8"))
    for order in ("size_first", "runtime_first"):
        factors = found[order]
        assert {each["factor"] for each in factors} == {"size", "dtype", "runtime"}
        product = math.prod(each["speedup"]["ratio"] for each in factors)
        assert product == pytest.approx(found["total"]["ratio"], rel=1e-9)
        for each in factors:
            changed = set(each["slow"].split()) ^ set(each["fast"].split())
            assert len(changed) == 2  # one thing at a time
    assert len(found["rates"]) == 6


def test_runtimes_side_by_side_know_their_padding() -> None:
    runs = {
        name: speed.Contender(load("mini-candidate", runtime=name, device="cpu"), 400)
        for name in RUNTIMES
    }
    ceilings = speed.measure_ceilings(each.embedder for each in runs.values())
    contest, rates = speed.side_by_side(runs, [SEQUENCES], ceilings, rounds=2, max_warmup_rounds=0)
    assert contest.arms == tuple(RUNTIMES)
    assert [ceiling.dtype for ceiling in ceilings.values()] == ["float32"]
    for rate in rates:
        pads = RUNTIMES[rate.arm].pads
        assert (rate.padded_utilisation is not None) == pads
        assert rate.padded_utilisation is None or rate.padded_utilisation >= rate.utilisation


def test_nothing_to_sweep_is_an_error() -> None:
    with pytest.raises(InputError, match="needs budgets and sequences"):
        speed.sweep(
            load("mini-candidate"),
            partial(load, "mini-candidate"),
            SEQUENCES,
            [],
            rounds=2,
            layers=None,
            provenance=provenance.Provenance.__new__(provenance.Provenance),
        )
