"""A whole comparison record with made-up figures, for tests of what is written and read."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from embedders import EmbedderSpec, Modality, WeightsIdentity
from harness import provenance
from harness.costs import Speedup
from harness.evidence import Classification, Decision, Endpoint, Metrics, NonInferiority
from harness.results import (
    SCHEMA,
    Comparison,
    Extraction,
    Gate,
    Memory,
    ParityCheck,
    Throughput,
    Verdict,
    WidthRow,
)
from harness.spec import (
    Arm,
    ArmName,
    ClassificationPlan,
    Dataset,
    Gates,
    MigrationSpec,
    ThroughputPlan,
)

SPEC = MigrationSpec(
    schema=1,
    name="example",
    baseline=Arm("old", weights="mini"),
    candidate=Arm("new", weights="mini"),
    datasets=(Dataset("d", Path("p.faa"), Path("l.csv")),),
    throughput=ThroughputPlan("d"),
    gates=Gates(sensitivity_margin=0.05, specificity_margin=0.05, speedup_at_least=1.5),
    classification=ClassificationPlan(seeds=(0, 1)),
)


def embedder(name: str, width: int) -> EmbedderSpec:
    return EmbedderSpec(
        name=name,
        runtime="fair-esm",
        modality=Modality.PROTEIN,
        width=width,
        parameters=1_234_567,
        dtype="float32",
        device="cpu",
        weights=WeightsIdentity("mini", "ab" * 32),
    )


def metrics(tp: int, fn: int, tn: int, fp: int) -> Metrics:
    return Metrics(
        n=tp + fn + tn + fp,
        threshold=0.5,
        tn=tn,
        fp=fp,
        fn=fn,
        tp=tp,
        accuracy=(tp + tn) / (tp + fn + tn + fp),
        precision=tp / (tp + fp),
        recall=tp / (tp + fn),
        specificity=tn / (tn + fp),
        f1=2 * tp / (2 * tp + fp + fn),
        mcc=0.5,
        roc_auc=0.9,
        pr_auc=None,
        brier=0.1,
    )


def classification(arm: ArmName, recall_in_100: int) -> Classification:
    seeds = tuple(metrics(recall_in_100 + s, 100 - recall_in_100 - s, 90, 10) for s in (0, 2))
    return Classification(
        arm=arm,
        dataset="d",
        level="chunk",
        seeds=(0, 1),
        per_seed=seeds,
        mean={
            "accuracy": 0.9,
            "precision": 0.9,
            "recall": (recall_in_100 + 1) / 100,
            "specificity": 0.9,
            "f1": 0.9,
            "mcc": 0.5,
            "roc_auc": 0.9,
            "pr_auc": None,
            "brier": 0.1,
        },
        predictions=f"predictions/d-{arm}.csv",
        predictions_sha256="cd" * 32,
    )


def endpoint(name: str, difference: float) -> Endpoint:
    return Endpoint(
        dataset="d",
        level="chunk",
        endpoint=name,
        paired=NonInferiority(
            difference=difference,
            lower=difference - 0.05,
            upper=difference + 0.05,
            standard_error=0.024,
            cluster_error=0.02,
            seed_error=0.01,
            tango_error=0.024,
            degrees_of_freedom=21.5,
            rows=100,
            clusters=20,
            seeds=2,
            margin=0.05,
            alpha=0.025,
            decision=Decision.INCONCLUSIVE,
            clusters_needed=43,
        ),
    )


def comparison() -> Comparison:
    passed = Gate("d: sensitivity per chunk", -0.05, 0.01, None, None, Decision.PASS, "fine")
    return Comparison(
        schema=SCHEMA,
        run="example-1",
        spec=SPEC,
        provenance=provenance.collect(
            "harness migrate x.toml", (), datetime(2026, 1, 1, tzinfo=UTC)
        ),
        arms={"baseline": embedder("old", 20), "candidate": embedder("new", 10)},
        widths=(
            WidthRow("baseline", "old", 4, 20, 24, None, "data"),
            WidthRow("candidate", "new", 4, 10, 14, 10, "data"),
        ),
        parity=(ParityCheck("baseline", "c", "s", 1e-7, 1e-5, at_least=False),),
        extraction=(Extraction("baseline", "d", 10, 9, 1, 900, 1.5),),
        throughput=(
            Throughput("baseline", "clock", (100, 100), 2, (1.0, 1.0), 100.0, 2.0),
            Throughput("candidate", "clock", (100, 100), 2, (0.5, 0.5), 200.0, 4.0),
        ),
        speedup=Speedup((1.0, 1.0), (0.5, 0.5), 2.0, 1.9, 2.1, 0.95),
        memory=(
            Memory("baseline", "cpu", 400 * 2**20, 100 * 2**20, None, None, None, None),
            Memory("candidate", "cpu", 300 * 2**20, 100 * 2**20, None, None, None, None),
        ),
        classification=(
            classification(ArmName.BASELINE, 90),
            classification(ArmName.CANDIDATE, 88),
        ),
        gates=(passed,),
        verdict=Verdict(Decision.PASS, "all 1 gates passed"),
        endpoints=(endpoint("sensitivity", -0.02), endpoint("specificity", 0.0)),
        unclassified={"e": "3 viral group(s) cannot be spread over 5 folds"},
    )


def without_classification() -> Comparison:
    return replace(comparison(), classification=(), endpoints=(), speedup=None, throughput=())
