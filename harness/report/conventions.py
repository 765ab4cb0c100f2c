"""A run's figures in the forms that continuous benchmarking, JUnit and GitHub read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import geometric_mean

from embedders.errors import InputError
from harness.evidence import Classification, Detail, Metrics
from harness.files import make_folder, write_text_atomically
from harness.report.escapes import printable
from harness.report.numerals import per_cent
from harness.results import Comparison, Throughput, find, to_json
from harness.spec import ArmName

CI_FOLDER = "ci"
"""Folder of these files in the folder of a run."""
BIGGER_FILE = "github-bigger-is-better.json"
SMALLER_FILE = "github-smaller-is-better.json"
BENCHER_FILE = "bencher.json"

SUMMARY_BYTES = 2**20
"""GitHub drops a step's summary that is larger."""
_CUT = "\n\n*Cut here, for a summary may hold 1 MiB: `report.md` of the run is whole.*\n"

_RATES = (
    ("sensitivity", "recall"),
    ("specificity", "specificity"),
    ("precision", "precision"),
    ("f1", "f1"),
    ("mcc", "mcc"),
    ("roc-auc", "roc_auc"),
    ("pr-auc", "pr_auc"),
)
_PEAKS = (
    ("host-peak-rss", "host_peak_rss_bytes"),
    ("device-peak-allocated", "device_peak_allocated_bytes"),
    ("device-peak-reserved", "device_peak_reserved_bytes"),
    ("device-used-nvml", "nvml_used_bytes"),
)


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure; ``between`` says what ``lower`` and ``upper`` are, if there are any.

    ``bench`` is whose it is and ``measure`` what, a slug; both together come once in a run and are
    the same in every run of a migration. ``ratios_mean_something`` is False for what may be zero or
    below, as a difference may.
    """

    bench: str
    measure: str
    unit: str
    value: float
    bigger_is_better: bool
    lower: float | None = None
    upper: float | None = None
    between: str = ""
    ratios_mean_something: bool = True

    def __post_init__(self) -> None:
        if (self.lower is None) is not (self.upper is None):
            raise InputError(f"{self.bench}: {self.measure} has one end of an interval only")


def figures(comparison: Comparison) -> tuple[Figure, ...]:
    """Return every figure that was measured, in reading order; none stands for a missing one."""
    found = [*_speed(comparison), *_memory(comparison), *_classification(comparison)]
    named: dict[tuple[str, str], Figure] = {}
    for each in found:
        if named.setdefault((each.bench, each.measure), each) is not each:
            raise InputError(f"{each.bench}: {each.measure} was measured twice in {comparison.run}")
    return tuple(found)


def github_entries(
    comparison: Comparison, *, bigger_is_better: bool
) -> list[dict[str, str | float]]:
    """Return the entries of github-action-benchmark's ``custom…IsBetter`` tools.

    The action compares runs by ratios, so that figures without meaningful ones are left out.
    ``range`` is ``[lower, upper]``, and ``extra`` says what that is and whose the figure is.
    """
    entries = []
    for each in figures(comparison):
        if each.bigger_is_better is not bigger_is_better or not each.ratios_mean_something:
            continue
        entry: dict[str, str | float] = {
            "name": f"{each.bench}: {each.measure}",
            "unit": each.unit,
            "value": each.value,
        }
        extra = [f"run {printable(comparison.run)}"]
        if each.lower is not None and each.upper is not None:
            entry["range"] = f"[{each.lower:.6g}, {each.upper:.6g}]"
            extra.append(f"range: {each.between}")
        entry["extra"] = "; ".join([*extra, *_arms(comparison)])
        entries.append(entry)
    return entries


def bencher_metrics(comparison: Comparison) -> dict[str, dict[str, dict[str, float]]]:
    """Return the figures in Bencher Metric Format: ``{bench: {measure: {value, …}}}``."""
    benches: dict[str, dict[str, dict[str, float]]] = {}
    for each in figures(comparison):
        metric = {"value": each.value}
        if each.lower is not None and each.upper is not None:
            metric |= {"lower_value": each.lower, "upper_value": each.upper}
        benches.setdefault(each.bench, {})[each.measure] = metric
    return benches


def write_conventions(comparison: Comparison, folder: Path) -> None:
    """Write the files of :data:`CI_FOLDER` into a run's folder, in strict JSON."""
    place = folder / CI_FOLDER
    make_folder(place)
    for name, document in (
        (BIGGER_FILE, github_entries(comparison, bigger_is_better=True)),
        (SMALLER_FILE, github_entries(comparison, bigger_is_better=False)),
        (BENCHER_FILE, bencher_metrics(comparison)),
    ):
        write_text_atomically(place / name, to_json(document))


def suite_properties(comparison: Comparison, folder: Path) -> list[tuple[str, str]]:
    """Return what a JUnit file should tell of a run: verdict, reason, gates, run folder.

    Names are ``gate.<name>.<field>``; a field that was not measured is left out.
    """
    properties = [
        ("verdict", comparison.verdict.decision.value),
        ("verdict.reason", printable(comparison.verdict.reason)),
        ("run.folder", printable(str(folder))),
        ("run.name", printable(comparison.run)),
    ]
    for gate in comparison.gates:
        name = f"gate.{printable(gate.name)}"
        properties.append((f"{name}.decision", gate.decision.value))
        properties.append((f"{name}.reason", printable(gate.reason)))
        for field in ("value", "lower", "upper", "limit"):
            value: float | None = getattr(gate, field)
            if value is not None:
                properties.append((f"{name}.{field}", repr(value)))
    return properties


def fitting_summary(text: str, room: int) -> bytes:
    """Return a page as UTF-8 of at most ``room`` bytes, cut after a line and said so if need be.

    Parameters
    ----------
    text
        Markdown.
    room
        Bytes that are left in the summary; nothing is returned if not even the notice fits.
    """
    whole = text.encode("utf-8")
    if len(whole) <= room:
        return whole
    notice = _CUT.encode("utf-8")
    if room < len(notice):
        return b""
    kept = whole[: room - len(notice)]
    return kept[: kept.rfind(b"\n") + 1] + notice


def _arms(comparison: Comparison) -> Iterator[str]:
    for arm in ArmName:
        spec = comparison.arms.get(arm)
        if spec is not None:
            yield printable(f"{arm} {spec.name}, {spec.runtime}, {spec.dtype}, {spec.device}")


def _bench(comparison: Comparison, whose: str) -> str:
    return printable(f"{comparison.spec.name}: {whose}")


def _speed(comparison: Comparison) -> Iterator[Figure]:
    for arm in ArmName:
        bench = _bench(comparison, arm)
        alone = find(comparison.throughput, arm=arm)
        if alone is not None:
            yield _throughput(bench, alone)
        paired = comparison.speedup
        if paired is not None:
            seconds = paired.baseline_s if arm is ArmName.BASELINE else paired.candidate_s
            yield Figure(
                bench,
                "seconds-per-paired-round",
                "s",
                geometric_mean(seconds),
                False,
                *_ends(seconds),
                between=f"fastest and slowest of {len(seconds)} rounds",
            )
    if comparison.speedup is not None:
        speedup = comparison.speedup
        yield Figure(
            _bench(comparison, "candidate over baseline"),
            "paired-speed-up",
            "times",
            speedup.ratio,
            bigger_is_better=True,
            lower=speedup.lower,
            upper=speedup.upper,
            between=f"{per_cent(speedup.confidence)} interval",
        )


def _throughput(bench: str, alone: Throughput) -> Figure:
    rates = [
        count / time_s
        for count, time_s in zip(alone.residues_per_round, alone.seconds, strict=True)
    ]
    return Figure(
        bench,
        "residues-per-second",
        "residues/s",
        alone.residues_per_s,
        True,
        *_ends(rates),
        between=f"slowest and fastest of {len(rates)} rounds",
    )


def _memory(comparison: Comparison) -> Iterator[Figure]:
    for arm in ArmName:
        memory = find(comparison.memory, arm=arm)
        for measure, field in _PEAKS if memory is not None else ():
            value: int | None = getattr(memory, field)
            if value is not None:
                yield Figure(_bench(comparison, arm), f"{measure}-mib", "MiB", value / 2**20, False)


def _classification(comparison: Comparison) -> Iterator[Figure]:
    for item in comparison.classification:
        where = f"{item.arm} on {item.dataset}, per {item.level}"
        bench = _bench(comparison, where)
        detail = find(comparison.details, dataset=item.dataset, level=item.level)
        for measure, metric in _RATES:
            yield from _rate(bench, measure, metric, item, detail, bigger_is_better=True)
        yield from _rate(bench, "brier-score", "brier", item, detail, bigger_is_better=False)
        calibration = None if detail is None else find(detail.calibration, arm=item.arm)
        if calibration is not None:
            yield Figure(
                bench,
                "calibration-error",
                "score",
                calibration.error,
                bigger_is_better=False,
                ratios_mean_something=False,
            )
    for endpoint in comparison.endpoints:
        paired = endpoint.paired
        if paired.difference is not None:
            where = f"candidate minus baseline on {endpoint.dataset}, per {endpoint.level}"
            yield Figure(
                _bench(comparison, where),
                endpoint.endpoint,
                "difference",
                paired.difference,
                True,
                paired.lower,
                paired.upper,
                between=f"{per_cent(1 - 2 * paired.alpha)} interval of pairs",
                ratios_mean_something=False,
            )


def _rate(
    bench: str,
    measure: str,
    metric: str,
    item: Classification,
    detail: Detail | None,
    *,
    bigger_is_better: bool,
) -> Iterator[Figure]:
    value = item.mean.get(metric)
    if value is None:
        return
    lower, upper = _seeds(item.per_seed, metric)
    between = f"lowest and highest of {len(item.seeds)} retraining seeds"
    secondary = None if detail is None else find(detail.secondary, metric=metric)
    if detail is not None and secondary is not None:
        estimate = secondary.baseline if item.arm == ArmName.BASELINE else secondary.candidate
        if estimate.lower is not None and estimate.upper is not None:
            lower, upper = estimate.lower, estimate.upper
            between = f"{per_cent(detail.confidence)} interval"
    yield Figure(
        bench,
        measure,
        "score",
        value,
        bigger_is_better,
        lower,
        upper,
        between,
        ratios_mean_something=metric != "mcc",
    )


def _seeds(per_seed: Iterable[Metrics], metric: str) -> tuple[float | None, float | None]:
    values = [getattr(each, metric) for each in per_seed]
    return _ends(values) if values and None not in values else (None, None)


def _ends(values: Iterable[float]) -> tuple[float, float]:
    ordered = sorted(values)
    return ordered[0], ordered[-1]
