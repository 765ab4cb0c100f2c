"""Stored runs as evidence: comparisons, contests of runtimes, and calibrations at known lengths."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from cattrs import Converter
from cattrs.errors import BaseValidationError

from embedders import EmbedderSpec, InputError, Modality, Truncation, arithmetic_of, checkpoint
from embedders.alphabet import clean_protein
from harness import features, measure
from harness.arms import SAMPLE_SEQUENCES
from harness.capacity.evidence import BOTH, END_TO_END, FORWARD, Evidence, Records
from harness.capacity.fitting import Observation
from harness.capacity.work import Way, Work, executed_work, split
from harness.costs import Ceiling, Contest, Rate
from harness.documents import exact_types, problems
from harness.provenance import ROOT, Provenance, sha256
from harness.results import COMPARISON_FILE, Comparison, ResultsError, find, read_comparison
from harness.spec import ArmName, Dataset

RUNTIMES_FILE = "runtimes.json"
CALIBRATION_FILE = "calibration.json"
CALIBRATION_SCHEMA = "embedder-migration/calibration/1"
EXTRACTION = "extraction of"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CalibratedArm:
    """One embedder, and runs of known work that were timed as whole commands."""

    spec: EmbedderSpec
    tokens_per_batch: int
    observations: tuple[Observation, ...]


@dataclass(frozen=True, slots=True)
class Calibration:
    """``harness embed`` at several mixes of lengths, so that a plan can tell its rates apart."""

    schema: str
    arms: tuple[CalibratedArm, ...]
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class _Contested:
    """What is read of one contest of ``scripts/measure_runtimes.py``."""

    sequences_per_round: int
    contest: Contest
    rates: tuple[Rate, ...]
    joules_per_residue: dict[str, float | None]
    specs: dict[str, EmbedderSpec]


@dataclass(frozen=True, slots=True)
class _Runtimes:
    ceilings: tuple[Ceiling, ...]
    contests: tuple[_Contested, ...]
    provenance: Provenance


def read_records(places: Sequence[Path]) -> Records:
    """Read these runs; of a folder that is no run, the runs in it.

    A run that is named must be readable; one that merely lies in a named folder is left out and
    told of.

    Raises
    ------
    InputError
        If a named folder is missing, or is a run that cannot be read.
    """
    evidence: list[Evidence] = []
    troubles: list[str] = []
    for place in places:
        if not place.is_dir():
            raise InputError(f"{place}: no such folder; give a run's, or one that holds runs")
        if any((place / name).is_file() for name in _READERS):
            evidence += _read_run(place)
            continue
        for run in sorted(each for each in place.iterdir() if each.is_dir()):
            try:
                evidence += _read_run(run)
            except InputError as problem:
                troubles.append(f"left out: {problem}")
    return Records(tuple(evidence), tuple(troubles))


def _read_run(folder: Path) -> Iterator[Evidence]:
    # a comparison stands for its run: what else the suite leaves there is no record of this kind
    reader = next((read for name, read in _READERS.items() if (folder / name).is_file()), None)
    for each in reader(folder) if reader else ():
        # a depth that was cut is no evidence of the whole model
        if each.spec.parameters == checkpoint(each.spec.name).parameters:
            yield each


def _of_comparison(folder: Path) -> Iterator[Evidence]:
    """Take each arm's own rounds, and its way through whole data sets, where lengths are known."""
    run = read_comparison(folder)
    lengths = {each.name: _lengths(run, each) for each in run.spec.datasets}
    for name in ArmName:
        if name not in run.arms:
            continue
        rate = find(run.rates, arm=name)
        spec = run.arms[name]
        observations = [*_rounds(run, name, lengths), *_extractions(run, name, lengths)]
        warm = any(
            each.what.startswith(EXTRACTION) and not each.work.starts for each in observations
        )
        if not observations and rate and run.contest:
            rows = run.spec.throughput.sequences
            observations = _mean_rounds(spec, run.contest, rate, rows)
        ceilings = run.roofline.ceilings if run.roofline else ()
        yield Evidence(
            run=run.run,
            started=run.provenance.started,
            spec=spec,
            machine=run.provenance.machine,
            tokens_per_batch=run.spec.arm(name).tokens_per_batch,
            observations=tuple(observations),
            coverage=BOTH if warm else FORWARD,
            utilisation=rate.utilisation if rate else None,
            ceiling_flops_per_s=_ceiling(ceilings, spec),
        )


def _rounds(
    run: Comparison, name: ArmName, lengths: dict[str, list[int] | None]
) -> Iterator[Observation]:
    """Draw the timed rounds again from the same file, as they were drawn."""
    plan = run.spec.throughput
    timed = find(run.throughput, arm=name)
    known = lengths[plan.dataset]
    if timed is None or known is None:
        return
    sample = known[:SAMPLE_SEQUENCES]
    subsets = measure.like_subsets(
        sample, subsets=plan.warmup_rounds + plan.rounds, rows=plan.sequences
    )
    way = _way(run.arms[name], run.spec.arm(name).tokens_per_batch, plan.sequences)
    counted = subsets[plan.warmup_rounds :]
    for number, (rows, seconds) in enumerate(zip(counted, timed.seconds, strict=True)):
        work = executed_work(way, [sample[row] for row in rows])
        yield Observation(f"round {number + 1} of {plan.dataset}", work, seconds)


def _extractions(
    run: Comparison, name: ArmName, lengths: dict[str, list[int] | None]
) -> Iterator[Observation]:
    """Take an arm's way through each data set; the first was its model's first long pass, cold."""
    first = True
    for each in run.extraction:
        if each.part != name:
            continue
        known = lengths.get(each.dataset)
        if known is not None:
            budget, rows = run.spec.arm(name).tokens_per_batch, run.spec.embedding.shard_size
            work = executed_work(_way(run.arms[name], budget, rows), known)
            work = replace(work, starts=int(first))
            yield Observation(f"{EXTRACTION} {each.dataset}", work, each.seconds)
        first = False


def _lengths(run: Comparison, dataset: Dataset) -> list[int] | None:
    """Read a data set's lengths again; None if its file is not here, or not the one recorded."""
    wanted = dict(run.provenance.inputs).get(dataset.proteins.as_posix())
    for place in (ROOT / dataset.proteins, dataset.proteins):
        if place.is_file() and sha256(place) == wanted:
            admitted = features.admitted_residues(place, clean_protein)
            return [len(each) for each in admitted]
    return None


def _of_runtimes(folder: Path) -> Iterator[Evidence]:
    path = folder / RUNTIMES_FILE
    run = _structured(path, _Runtimes)
    for contested in run.contests:
        for rate in contested.rates:
            spec = contested.specs.get(rate.arm)
            if spec is None:
                raise ResultsError(f"{path}: specs has no {rate.arm!r}; measure again")
            joules = contested.joules_per_residue.get(rate.arm)
            yield Evidence(
                run=folder.resolve().name,
                started=run.provenance.started,
                spec=spec,
                machine=run.provenance.machine,
                observations=tuple(
                    _mean_rounds(spec, contested.contest, rate, contested.sequences_per_round)
                ),
                utilisation=rate.utilisation,
                ceiling_flops_per_s=_ceiling(run.ceilings, spec),
                watts=None if joules is None else joules * rate.residues_per_s,
            )


def _mean_rounds(spec: EmbedderSpec, contest: Contest, rate: Rate, rows: int) -> list[Observation]:
    """Give every round the work of the middle one, which the rates tell: rounds are alike."""
    arithmetic = arithmetic_of(spec.name)
    if arithmetic is None:
        return []
    seconds = contest.of(rate.arm)
    per_round = rows / rate.sequences_per_s
    token, _ = split(arithmetic)
    tokens = rate.residues_per_s * per_round + rows * arithmetic.special_tokens
    attention = rate.flops_per_s * per_round - token * tokens
    padding = (rate.padded_utilisation or rate.utilisation) / rate.utilisation
    work = Work(token * tokens, max(attention, 0.0)).times(padding)
    return [Observation(f"round {n + 1}", work, each) for n, each in enumerate(seconds)]


def _of_calibration(folder: Path) -> Iterator[Evidence]:
    path = folder / CALIBRATION_FILE
    run = _structured(path, Calibration)
    if run.schema != CALIBRATION_SCHEMA:
        raise ResultsError(f"{path}: schema is {run.schema!r}, not {CALIBRATION_SCHEMA!r}")
    for arm in run.arms:
        yield Evidence(
            run=folder.resolve().name,
            started=run.provenance.started,
            spec=arm.spec,
            machine=run.provenance.machine,
            tokens_per_batch=arm.tokens_per_batch,
            observations=arm.observations,
            coverage=END_TO_END,
        )


_READERS = {
    COMPARISON_FILE: _of_comparison,
    RUNTIMES_FILE: _of_runtimes,
    CALIBRATION_FILE: _of_calibration,
}


def _way(spec: EmbedderSpec, tokens_per_batch: int, shard_size: int) -> Way:
    arithmetic = arithmetic_of(spec.name)
    if arithmetic is None or spec.modality is not Modality.PROTEIN:
        raise ResultsError(f"{spec.name}: what it multiplies is not known")
    whole = spec.truncation is Truncation.LEGACY
    window = None if whole else spec.window_residues
    return Way(arithmetic, tokens_per_batch, spec.pads, window, shard_size)


def _ceiling(ceilings: Sequence[Ceiling], spec: EmbedderSpec) -> float | None:
    return next((each.flops_per_s for each in ceilings if each.dtype == spec.dtype), None)


def _structured(path: Path, kind: type[T]) -> T:
    converter = Converter()
    exact_types(converter)
    try:
        return converter.structure(json.loads(path.read_text(encoding="utf-8")), kind)
    except (OSError, ValueError) as error:
        raise ResultsError(f"{path}: cannot be read as JSON ({error})") from error
    except BaseValidationError as error:
        raise ResultsError(f"{path}: {'; '.join(problems(error))}; measure again") from error
