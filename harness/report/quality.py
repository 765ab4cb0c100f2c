"""What classification showed beside the primary endpoints, as sections."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from harness.evidence import Classification, Detail
from harness.report.blocks import (
    Block,
    Cell,
    Folded,
    Heading,
    Matrix,
    Missing,
    Picture,
    Section,
    Side,
    Table,
)
from harness.report.curves import curve_plot, reliability_plot
from harness.report.headline import place_title, places, why_unjudged
from harness.report.ink import inline
from harness.report.numerals import count, difference, estimate, per_cent, rate
from harness.report.tables import SHOWN_METRICS, mean_confusion
from harness.results import Comparison, find
from harness.spec import ArmName

_METRIC_NAMES = {key: name for name, key in SHOWN_METRICS}
_KINDS = {"roc": "ROC curve", "pr": "Precision and recall"}


def curve_section(comparison: Comparison) -> Section:
    """Return ROC and precision-recall curves of both arms."""

    def blocks(detail: Detail, name: str) -> Iterator[Block]:
        pictures = []
        for kind, title in _KINDS.items():
            curves = [curve for curve in detail.curves if curve.kind == kind]
            if curves:
                told = f"{title} of {', '.join(curve.arm for curve in curves)}; mean over seeds"
                svg = curve_plot(curves, kind)
                pictures.append(_picture(f"{kind}-{name}", title, told, svg))
        if pictures:
            yield Side(tuple(pictures))

    return _by_place(comparison, "curves", "ROC and precision-recall curves", blocks)


def reliability_section(comparison: Comparison) -> Section:
    """Return how far the probabilities are from what happens."""

    def blocks(detail: Detail, name: str) -> Iterator[Block]:
        if not detail.calibration:
            return
        told = "; ".join(
            f"{each.arm}: calibration error {rate(each.error)}" for each in detail.calibration
        )
        svg = reliability_plot(detail.calibration)
        title = "Reliability: share that was viral, by probability predicted"
        yield Side((_picture(f"reliability-{name}", title, told, svg),))
        yield Table(
            "Calibration error, over bins of equal numbers of rows",
            ("arm", "debiased, root mean square", "plain, mean absolute", "bins"),
            tuple(
                (each.arm, rate(each.error), rate(each.plain_error), count(len(each.bins)))
                for each in detail.calibration
            ),
        )

    return _by_place(comparison, "reliability", "Reliability of the probabilities", blocks)


def confusion_section(comparison: Comparison) -> Section:
    """Return the confusion matrices of both arms, mean over seeds, and each seed folded."""
    blocks: list[Block] = []
    for dataset, level in places(comparison):
        mine = [
            found
            for arm in ArmName
            if (found := find(comparison.classification, dataset=dataset, level=level, arm=arm))
        ]
        if mine:
            blocks += [
                Heading(place_title(dataset, level)),
                Side(tuple(_matrix(found) for found in mine)),
                Folded("Each seed", (confusion_table(mine),)),
            ]
    return Section(
        "confusion", "Confusion matrices", tuple(blocks) or (Missing(why_unjudged(comparison)),)
    )


def confusion_table(found: Sequence[Classification]) -> Table:
    """Return the confusion matrix of each arm and seed."""
    return Table(
        "Rows by class and call",
        (
            "data set",
            "level",
            "arm",
            "seed",
            "viral as viral",
            "viral as host",
            "host as host",
            "host as viral",
        ),
        tuple(
            (one.dataset, one.level, one.arm, str(seed), *map(count, (m.tp, m.fn, m.tn, m.fp)))
            for one in found
            for seed, m in zip(one.seeds, one.per_seed, strict=True)
        ),
        words=3,
    )


def secondary_section(comparison: Comparison) -> Section:
    """Return the secondary metrics of both arms and their difference, with intervals."""

    def blocks(detail: Detail, _: str) -> Iterator[Block]:
        if detail.secondary:
            yield Table(
                f"Mean over seeds; {per_cent(detail.confidence)} intervals of "
                f"{count(detail.resamples)} resamples of groups and seeds",
                ("metric", "baseline", "candidate", "candidate minus baseline"),
                tuple(
                    (
                        _METRIC_NAMES.get(each.metric, each.metric),
                        estimate(each.baseline),
                        estimate(each.candidate),
                        estimate(each.difference, sign=True),
                    )
                    for each in detail.secondary
                ),
            )

    return _by_place(comparison, "secondary", "Secondary metrics", blocks)


def strata_section(comparison: Comparison) -> Section:
    """Return the endpoints on parts of the rows; the differences are drawn further up."""

    def blocks(detail: Detail, _: str) -> Iterator[Block]:
        if detail.strata:
            yield strata_table(detail)

    return _by_place(comparison, "strata", "Strata", blocks)


def strata_table(detail: Detail) -> Table:
    """Return the strata of one data set and level."""
    return Table(
        "Endpoints on parts of the rows; they decide nothing",
        ("by", "part", "endpoint", "rows", "groups", "baseline", "candidate", "difference"),
        tuple(
            (
                each.by,
                each.name,
                each.endpoint,
                count(each.paired.rows),
                count(each.paired.clusters),
                rate(each.baseline),
                rate(each.candidate),
                difference(each.paired),
            )
            for each in detail.strata
        ),
        words=3,
    )


def modality_section(comparison: Comparison) -> Section:
    """Return the endpoints with part of the features."""
    if comparison.modalities:
        block: Block = modality_table(comparison)
    else:
        block = Missing(why_unjudged(comparison))
    return Section("modalities", "Modalities", (block,))


def modality_table(comparison: Comparison) -> Table:
    """Return every modality with both arms and their difference."""
    return Table(
        "With DNA features only, protein features only, and both merged",
        (
            "data set",
            "level",
            "features",
            "endpoint",
            "seeds",
            "baseline",
            "candidate",
            "difference",
        ),
        tuple(
            (
                each.dataset,
                each.level,
                each.modality,
                each.endpoint,
                count(each.seeds),
                rate(each.baseline),
                rate(each.candidate),
                "the same for both" if each.paired is None else difference(each.paired),
            )
            for each in comparison.modalities
        ),
        words=4,
    )


def operating_section(comparison: Comparison) -> Section:
    """Return what each arm reaches at chosen thresholds."""

    def blocks(detail: Detail, _: str) -> Iterator[Block]:
        if detail.operating_points:
            yield Table(
                "Thresholds and what they give",
                ("arm", "rule", "threshold", "sensitivity", "specificity", "precision"),
                tuple(
                    (
                        each.arm,
                        each.rule,
                        rate(each.threshold),
                        rate(each.sensitivity),
                        rate(each.specificity),
                        rate(each.precision),
                    )
                    for each in detail.operating_points
                ),
                words=2,
            )

    return _by_place(comparison, "operating", "Operating points", blocks)


def agreement_section(comparison: Comparison) -> Section:
    """Return how often the arms agree, and examples where they do not."""

    def blocks(detail: Detail, _: str) -> Iterator[Block]:
        if detail.agreement:
            yield Table(
                "Shares of rows and seeds",
                ("endpoint", "both right", "only baseline", "only candidate", "both wrong"),
                tuple(
                    (
                        each.endpoint,
                        rate(each.both_right),
                        rate(each.only_baseline),
                        rate(each.only_candidate),
                        rate(each.both_wrong),
                    )
                    for each in detail.agreement
                ),
            )
        if detail.disagreements:
            examples = Table(
                "Mean probabilities of viral over seeds",
                ("record", "group", "class", "baseline", "candidate"),
                tuple(
                    (each.name, each.group, each.label, rate(each.baseline), rate(each.candidate))
                    for each in detail.disagreements
                ),
                words=3,
            )
            yield Folded(
                f"Examples of disagreement: {count(len(detail.disagreements))}", (examples,)
            )

    return _by_place(comparison, "agreement", "Agreement of the arms", blocks)


def _by_place(
    comparison: Comparison,
    name: str,
    title: str,
    blocks: Callable[[Detail, str], Iterator[Block]],
) -> Section:
    """Return a section with a heading for each data set and level that has something to show."""
    found: list[Block] = []
    for place, detail in enumerate(comparison.details):
        mine = tuple(blocks(detail, str(place)))
        if mine:
            found += [Heading(place_title(detail.dataset, detail.level)), *mine]
    return Section(name, title, tuple(found) or (Missing(why_unjudged(comparison)),))


def _matrix(found: Classification) -> Matrix:
    mean = mean_confusion(found)
    viral, host = mean["tp"] + mean["fn"], mean["tn"] + mean["fp"]

    def cell(key: str, of: float, name: str) -> Cell:
        share = mean[key] / of if of else 0.0
        return Cell(name, count(mean[key]), share, right=key in ("tp", "tn"))

    return Matrix(
        f"{found.arm}, mean over {count(len(found.seeds))} seeds",
        (
            ("viral", (cell("tp", viral, "called viral"), cell("fn", viral, "called host"))),
            ("host", (cell("fp", host, "called viral"), cell("tn", host, "called host"))),
        ),
    )


def _picture(name: str, title: str, told: str, svg: str) -> Picture:
    return Picture(name, title, told, inline(svg, name, title, told))
