"""A JUnit file of the suite tells of the verdict, its gates and where the run is."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

from harness.evidence import Decision
from harness.results import read_comparison
from tests.benchmarks.test_suite import DEMO, INCONCLUSIVE, run_suite, small_spec


def test_the_properties_are_those_of_the_stored_run(tmp_path: Path) -> None:
    xml = tmp_path / "junit.xml"
    code, shown, run = run_suite(
        tmp_path, small_spec(DEMO, tmp_path), "-k", "merged_width", f"--junit-xml={xml}"
    )
    assert code == INCONCLUSIVE, shown  # nearly everything is not measured
    assert "warning" not in shown.lower()
    tree = ET.parse(xml)  # noqa: S314 - written by this test
    told = {each.get("name"): each.get("value") for each in tree.iter("property")}
    stored = read_comparison(run)
    assert told["verdict"] == "INCONCLUSIVE"
    assert told["verdict.reason"] == stored.verdict.reason
    assert Path(told["run.folder"] or "").resolve() == run.resolve()
    decisions = {gate.name: gate.decision.value for gate in stored.gates}
    assert decisions["candidate: protein width"] == Decision.PASS
    assert {name: told[f"gate.{name}.decision"] for name in decisions} == decisions
    assert float(told["gate.candidate: protein width.value"] or "nan") == 96
    assert "gate.speed-up, paired.value" not in told
    assert (run / "ci" / "bencher.json").exists()
