"""What classification showed, as frozen records: rates, intervals, and where the arms differ."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Decision(StrEnum):
    """How one gate, or the whole migration, came out."""

    PASS = "PASS"  # noqa: S105 - a decision, no password
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True)
class Metrics:
    """Rates of one set of predictions; viral is the positive class.

    ``None`` where a rate is undefined, e.g. precision when nothing was called viral: never NaN, so
    that the record is strict JSON. ``recall`` is the sensitivity. ``tn, fp, fn, tp`` is the
    confusion matrix at ``threshold``, from which every rate but the last three follows.
    """

    n: int
    threshold: float
    tn: int
    fp: int
    fn: int
    tp: int
    accuracy: float
    precision: float | None
    recall: float | None
    specificity: float | None
    f1: float | None
    mcc: float | None
    roc_auc: float | None
    pr_auc: float | None
    brier: float


@dataclass(frozen=True, slots=True)
class Classification:
    """One arm on one data set at one level, out of fold.

    ``level`` is ``chunk`` (each row) or ``contig`` (its most confident frame). ``mean`` is
    the mean over seeds of each rate; ``per_seed`` holds them, in the order of ``seeds``. Every
    rate can be recomputed from ``predictions``, a CSV beside this file, whose hash is
    ``predictions_sha256``.
    """

    arm: str
    dataset: str
    level: str
    seeds: tuple[int, ...]
    per_seed: tuple[Metrics, ...]
    mean: dict[str, float | None]
    predictions: str
    predictions_sha256: str


@dataclass(frozen=True, slots=True)
class NonInferiority:
    """Candidate minus baseline on paired rows, by :func:`harness.judge.noninferiority`.

    ``None`` is a figure that cannot be estimated: ``lower`` and ``upper`` with fewer than two
    clusters, for one. ``standard_error`` is the larger of ``tango_error`` and the other two
    together. ``decision`` is what the interval says.
    """

    difference: float | None
    lower: float | None
    upper: float | None
    standard_error: float | None
    cluster_error: float | None
    seed_error: float | None
    tango_error: float | None
    degrees_of_freedom: float | None
    rows: int
    clusters: int
    seeds: int
    margin: float
    alpha: float
    decision: Decision
    clusters_needed: int | None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Both arms on one class of a data set at one level: ``sensitivity`` or ``specificity``."""

    dataset: str
    level: str
    endpoint: str
    paired: NonInferiority


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its interval; None where it is undefined or cannot be estimated."""

    value: float | None
    lower: float | None
    upper: float | None


@dataclass(frozen=True, slots=True)
class Secondary:
    """A secondary metric (``f1``, ``mcc``, ``roc_auc``, ``pr_auc``, ``brier``) of both arms.

    Values are means over seeds; ``difference`` is candidate minus baseline, resampled in pairs.
    """

    metric: str
    baseline: Estimate
    candidate: Estimate
    difference: Estimate


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Rows of like probability: how many, what was predicted, and what share was viral."""

    rows: int
    predicted: float
    observed: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """How far one arm's probabilities are from what happens, in bins of equal numbers of rows.

    ``error`` is the root of the debiased squared calibration error (Kumar, Liang and Ma 2019),
    ``plain_error`` the usual mean absolute one.
    """

    arm: str
    error: float
    plain_error: float
    bins: tuple[CalibrationBin, ...]


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """What one arm reaches at a threshold; ``rule`` says how that was chosen."""

    arm: str
    rule: str
    threshold: float
    sensitivity: float | None
    specificity: float | None
    precision: float | None


@dataclass(frozen=True, slots=True)
class Curve:
    """A ``roc`` (x false-positive rate, y sensitivity) or ``pr`` (x recall, y precision) curve.

    ``y`` is the mean over seeds at each ``x``.
    """

    arm: str
    kind: str
    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Stratum:
    """An endpoint on a part of the rows, e.g. ``by`` = ``length``, ``name`` = ``61-120``.

    ``baseline`` and ``candidate`` are the rates of both arms, ``paired`` compares them.
    """

    by: str
    name: str
    endpoint: str
    baseline: float
    candidate: float
    paired: NonInferiority


@dataclass(frozen=True, slots=True)
class Agreement:
    """How often both arms, one of them or neither got the rows of one endpoint right.

    Shares of rows and seeds; they add up to 1.
    """

    endpoint: str
    both_right: float
    only_baseline: float
    only_candidate: float
    both_wrong: float


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One row or contig that the arms call differently: mean probabilities of viral, over seeds."""

    name: str
    group: str
    label: str
    baseline: float
    candidate: float


@dataclass(frozen=True, slots=True)
class Detail:
    """What is known of both arms on one data set at one level, beside the primary endpoints."""

    dataset: str
    level: str
    resamples: int
    confidence: float
    secondary: tuple[Secondary, ...]
    calibration: tuple[Calibration, ...]
    operating_points: tuple[OperatingPoint, ...]
    curves: tuple[Curve, ...]
    strata: tuple[Stratum, ...]
    agreement: tuple[Agreement, ...]
    disagreements: tuple[Disagreement, ...]


@dataclass(frozen=True, slots=True)
class Modality:
    """An endpoint with part of the features: ``DNA only``, ``protein only`` or ``merged``.

    ``DNA only`` is the same for both arms, so that nothing is paired there.
    """

    dataset: str
    level: str
    modality: str
    endpoint: str
    seeds: int
    baseline: float | None
    candidate: float | None
    paired: NonInferiority | None


@dataclass(frozen=True, slots=True)
class LeakCheck:
    """Test rows that have a near twin in the training part of the same fold.

    ``cut`` names the way of cutting: ``by row``, ``by given groups`` or ``as judged``. ``twins`` is
    the mean over seeds of the number of test rows with a twin, out of ``rows``.
    """

    cut: str
    rows: int
    twins: float


@dataclass(frozen=True, slots=True)
class Grouping:
    """How the rows of a data set were grouped, so that no group is parted by a fold.

    ``sources`` are what was joined into connected components (``accession``, ``column``,
    ``homology``); ``tool`` found the homologues (None: nothing searched) at ``identity`` and
    ``coverage``. ``clusters`` and ``components`` are numbers of groups, before and after joining;
    ``largest_rows`` is the size of the largest component. ``file`` lists every row's groups.
    """

    dataset: str
    sources: tuple[str, ...]
    tool: str | None
    tool_version: str | None
    identity: float | None
    coverage: float | None
    rows: int
    given_groups: int
    clusters: int | None
    components: int
    largest_rows: int
    file: str
    sha256: str
    leaks: tuple[LeakCheck, ...]
