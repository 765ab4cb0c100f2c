"""A whole comparison record with made-up figures, for tests of what is written and read."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from embedders import EmbedderSpec, Modality, WeightsIdentity
from harness import judge, provenance
from harness.costs import (
    Attribution,
    Bandwidth,
    Ceiling,
    Contest,
    Factor,
    MemorySplit,
    Rate,
    Roofline,
    RooflinePoint,
    Speedup,
)
from harness.evidence import (
    Agreement,
    Calibration,
    CalibrationBin,
    Classification,
    Curve,
    Decision,
    Detail,
    Disagreement,
    Endpoint,
    Estimate,
    Grouping,
    LeakCheck,
    Metrics,
    NonInferiority,
    OperatingPoint,
    Secondary,
    Stratum,
)
from harness.evidence import Modality as ModalityResult
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


def paired(difference: float, reach: float = 0.05) -> NonInferiority:
    return NonInferiority(
        difference=difference,
        lower=difference - reach,
        upper=difference + reach,
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
    )


def endpoint(name: str, difference: float) -> Endpoint:
    return Endpoint("d", "chunk", name, paired(difference))


def detail() -> Detail:
    """Return everything known beside the primary endpoints, both arms."""
    unknown = Estimate(None, None, None)
    steps = [step / 20 for step in range(21)]
    return Detail(
        dataset="d",
        level="chunk",
        resamples=2000,
        confidence=0.95,
        secondary=(
            Secondary(
                "f1",
                Estimate(0.911, 0.872, 0.943),
                Estimate(0.894, 0.851, 0.929),
                Estimate(-0.017, -0.049, 0.013),
            ),
            Secondary("pr_auc", Estimate(0.967, None, None), unknown, unknown),
        ),
        calibration=tuple(
            Calibration(
                arm,
                0.021 + shift,
                0.038 + shift,
                tuple(
                    CalibrationBin(40, step / 10 + 0.05, min(1, step / 10 + 0.05 + shift))
                    for step in range(10)
                ),
            )
            for arm, shift in (("baseline", 0.0), ("candidate", 0.04))
        ),
        operating_points=(
            OperatingPoint("baseline", "specificity at least 0.95", 0.713, 0.842, 0.951, 0.944),
            OperatingPoint("candidate", "specificity at least 0.95", 0.688, 0.821, 0.952, None),
        ),
        curves=tuple(
            Curve(
                arm,
                kind,
                tuple(steps),
                tuple(
                    step**bend if kind == "roc" else 1 - 0.5 * step ** (1 / bend) for step in steps
                ),
            )
            for arm, bend in (("baseline", 0.2), ("candidate", 0.3))
            for kind in ("roc", "pr")
        ),
        strata=tuple(
            Stratum(by, name, which, 0.903, 0.903 + gain, paired(gain, reach))
            for by, name, gain, reach in (
                ("length", "61-120", -0.032, 0.11),
                ("length", "121-300", -0.012, 0.06),
                ("frame", "1", 0.008, 0.6),
                ("group", "Retroviridae", 0.004, 0.08),
            )
            for which in ("sensitivity", "specificity")
        ),
        agreement=(
            Agreement("sensitivity", 0.861, 0.049, 0.029, 0.061),
            Agreement("specificity", 0.872, 0.028, 0.028, 0.072),
        ),
        disagreements=(
            Disagreement("NC_1.1_frame_0", "NC_1.1", "viral", 0.934, 0.217),
            Disagreement("NC_2.1_frame_4", "NC_2.1", "host", 0.118, 0.766),
        ),
    )


def grouping() -> Grouping:
    return Grouping(
        dataset="d",
        sources=("accession", "homology"),
        tool="pyhmmer",
        tool_version="0.11.1",
        identity=0.3,
        coverage=0.5,
        rows=200,
        given_groups=47,
        clusters=39,
        components=36,
        largest_rows=17,
        file="groups/d.csv",
        sha256="ef" * 32,
        leaks=(
            LeakCheck("by row", 200, 118.5),
            LeakCheck("by given groups", 200, 23.0),
            LeakCheck("as judged", 200, 0.0),
        ),
    )


def modalities() -> tuple[ModalityResult, ...]:
    return tuple(
        ModalityResult("d", "chunk", name, "sensitivity", 2, before, after, pairs)
        for name, before, after, pairs in (
            ("DNA only", 0.704, 0.704, None),
            ("protein only", 0.886, 0.858, paired(-0.028)),
            ("merged", 0.91, 0.89, paired(-0.02)),
        )
    )


def roofline() -> Roofline:
    return Roofline(
        ceilings=(
            Ceiling("cpu", "float32", 1.62e11, 2048, (0.106,), None),
            Ceiling("cpu", "bfloat16", 3.87e11, 2048, (0.0444,), None),
        ),
        bandwidth=Bandwidth("cpu", 3.13e10, 2**28, (0.0257,)),
        points=(
            RooflinePoint("baseline", "float32", 81.4, 4.37e10),
            RooflinePoint("candidate", "bfloat16", 212.0, 2.91e11),
        ),
    )


def attribution() -> Attribution:
    def gain(ratio: float) -> Speedup:
        return Speedup((ratio, ratio), (1.0, 1.0), ratio, 0.97 * ratio, 1.03 * ratio, 0.95)

    def chain(*steps: tuple[str, str, str, float]) -> tuple[Factor, ...]:
        return tuple(Factor(name, slow, fast, gain(ratio)) for name, slow, fast, ratio in steps)

    a, b, c, d = "old float32", "new float32", "new bfloat16", "new packed"
    return Attribution(
        baseline="old",
        candidate="new",
        sequences_per_round=48,
        total=gain(6.0),
        size_first=chain(("size", a, b, 4.0), ("dtype", b, c, 1.25), ("runtime", c, d, 1.2)),
        runtime_first=chain(
            ("dtype", a, "old bfloat16", 1.1),
            ("runtime", "old bfloat16", "old packed", 1.25),
            ("size", "old packed", d, 6.0 / (1.1 * 1.25)),
        ),
        rates=(Rate("old", 104.2, 2.04, 4.37e10, 0.27, 0.31),),
        ceilings=(),
        steady=True,
    )


def memory_splits() -> tuple[MemorySplit, ...]:
    mib = 2**20
    return (
        MemorySplit("baseline", "cpu", 180 * mib, 120 * mib, None, 100 * mib, 400 * mib),
        MemorySplit("candidate", "cpu", 90 * mib, 110 * mib, None, 100 * mib, 300 * mib),
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
        groupings=(grouping(),),
        details=(detail(),),
        modalities=modalities(),
        contest=Contest(
            ("baseline", "candidate"),
            {"baseline": (1.0, 1.0), "candidate": (0.5, 0.5)},
            "perf_counter",
            3,
            steady=True,
        ),
        rates=(
            Rate("baseline", 101.3, 2.02, 4.37e10, 0.27, 0.31),
            Rate("candidate", 203.4, 4.06, 2.91e11, 0.752, None),
        ),
        memory_splits=memory_splits(),
        roofline=roofline(),
        attribution=attribution(),
    )


def without_classification() -> Comparison:
    return replace(
        comparison(),
        classification=(),
        endpoints=(),
        details=(),
        modalities=(),
        groupings=(),
        speedup=None,
        throughput=(),
    )


def judged(run: Comparison) -> Comparison:
    """The same run with the gates and the verdict that follow from its records."""
    gates = judge.gates_of(run)
    return replace(run, gates=tuple(gates), verdict=judge.decide(gates))
