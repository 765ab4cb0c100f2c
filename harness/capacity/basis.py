"""Where an arm's seconds come from: measured work, or FLOPs at a part of a ceiling."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from embedders import RUNTIMES, InputError
from embedders.contract import DEFAULT_TOKENS_PER_BATCH
from harness.capacity.estimates import CONFIDENCE, Estimate
from harness.capacity.evidence import Choice, Evidence, Records
from harness.capacity.fitting import Fit, fit
from harness.capacity.work import Work


class Origin(StrEnum):
    """Whether seconds were measured or computed."""

    MEASURED = "measured"
    COMPUTED = "computed"


@dataclass(frozen=True, slots=True)
class Stated:
    """What the user says of a device that no run was stored of.

    ``ceilings`` holds FLOP/s by dtype, ``""`` for any; ``utilisations`` parts of it by arm, ``""``
    for both.
    """

    ceilings: Mapping[str, float]
    utilisations: Mapping[str, float]

    def __post_init__(self) -> None:
        if not all(0 < each < math.inf for each in self.ceilings.values()):
            raise InputError("a ceiling must be above 0 FLOP/s")
        if not all(0 < each <= 1 for each in self.utilisations.values()):
            raise InputError("a utilisation lies above 0 and is at most 1")

    def ceiling(self, dtype: str) -> float | None:
        """Return the ceiling of a dtype."""
        return self.ceilings.get(dtype, self.ceilings.get(""))

    def utilisation(self, arm: str) -> float | None:
        """Return the utilisation of an arm."""
        return self.utilisations.get(arm, self.utilisations.get(""))


@dataclass(frozen=True, slots=True)
class Basis:
    """How one arm's work is turned into seconds; ``sentence`` says it.

    Either ``fit`` or ``flops_per_s`` is there: the first takes executed work, padding included, the
    second useful work.
    """

    choice: Choice
    origin: Origin
    sentence: str
    device: str
    unit: str
    tokens_per_batch: int
    pads: bool
    fit: Fit | None = None
    flops_per_s: float | None = None
    watts: float | None = None

    def seconds(self, executed: Work, useful: Work) -> Estimate:
        """Return the device seconds of a run."""
        if self.fit is not None:
            return self.fit.predict(executed)
        if self.flops_per_s is None:
            raise InputError(f"{self.choice}: neither measured nor computed")
        return Estimate(useful.flops / self.flops_per_s)


def settle(arm: str, choice: Choice, records: Records, stated: Stated, device: str | None) -> Basis:
    """Decide what an arm is projected from.

    A stated ceiling describes another device than those of the records, so it goes first. Then
    comes the arm's own record; then the ceiling of the records' device times a stated utilisation,
    or that which the largest other embedder reached there in the same runtime and dtype.

    Raises
    ------
    InputError
        If none of these is there; the message says what is.
    """
    if stated.ceilings:
        return _stated(arm, choice, stated, device)
    own = records.newest(choice)
    if own is not None:
        return _measured(own, records.others(choice))
    return _computed(arm, choice, records, stated)


def _stated(arm: str, choice: Choice, stated: Stated, device: str | None) -> Basis:
    ceiling, part = stated.ceiling(choice.dtype), stated.utilisation(arm)
    if ceiling is None:
        raise InputError(
            f"no ceiling is stated for {choice.dtype}, which the {arm} computes in; add "
            f"{choice.dtype}=X to --ceiling-tflops"
        )
    if part is None:
        raise InputError(
            f"no utilisation is stated for the {arm}; add --utilisation X, or {arm}=X: the useful "
            "part of the ceiling, which nobody has published for ESM-2 inference"
        )
    name = device or "stated device"
    return Basis(
        choice=choice,
        origin=Origin.COMPUTED,
        sentence=f"computed: FLOPs / ({ceiling / 1e12:,.4g} TFLOP/s stated for {name} in "
        f"{choice.dtype} x utilisation {part:.4g} stated); no interval",
        device=name,
        unit="device hours",
        tokens_per_batch=DEFAULT_TOKENS_PER_BATCH,
        pads=_pads(choice),
        flops_per_s=ceiling * part,
    )


def _measured(own: Evidence, older: int) -> Basis:
    found = fit(own.observations)
    rates = f"{found.observations} timed runs, {'two rates' if _two(found) else 'one rate'}"
    level = f"{CONFIDENCE:.0%} prediction interval"
    interval = level if found.spread is not None else "no interval, for nothing was timed twice"
    budget = (
        f"{DEFAULT_TOKENS_PER_BATCH:,} tokens per batch assumed"
        if own.tokens_per_batch is None
        else f"{own.tokens_per_batch:,} tokens per batch"
    )
    aside = f"; {older} older or other runs left aside" if older else ""
    return Basis(
        choice=own.choice,
        origin=Origin.MEASURED,
        sentence=f"measured: run {own.run} on {own.device}, {own.choice}, "
        f"{budget}; {own.coverage} ({rates}); {interval}{aside}",
        device=own.device,
        unit=_unit(own),
        tokens_per_batch=own.tokens_per_batch or DEFAULT_TOKENS_PER_BATCH,
        pads=own.spec.pads,
        fit=found,
        watts=own.watts,
    )


def _computed(arm: str, choice: Choice, records: Records, stated: Stated) -> Basis:
    ceilings = [
        each
        for each in records.evidence
        if each.spec.dtype == choice.dtype and each.ceiling_flops_per_s
    ]
    alike = [each for each in ceilings if each.spec.runtime == choice.runtime and each.utilisation]
    part = stated.utilisation(arm)
    if part is not None and ceilings:
        source = max(ceilings, key=lambda each: each.started)
        why = f"utilisation {part:.4g} stated"
    elif part is None and alike:
        source = max(alike, key=lambda each: (each.spec.parameters, each.started))
        part = source.utilisation
        why = f"utilisation {part:.3f}, which {source.choice} reached in run {source.run}"
    else:
        raise InputError(
            f"{arm}: {choice} was not timed in any of the stored runs, nor anything in "
            f"{choice.runtime} and {choice.dtype} that it could be computed from. Give --results "
            "DIR, or --ceiling-tflops X and --utilisation X. There are: " + records.titles()
        )
    ceiling = source.ceiling_flops_per_s
    if ceiling is None or part is None:
        raise InputError(f"run {source.run}: its ceiling is not known")
    return Basis(
        choice=choice,
        origin=Origin.COMPUTED,
        sentence=f"computed: FLOPs / ({ceiling / 1e12:,.4g} TFLOP/s, the ceiling of run "
        f"{source.run} on {source.device} in {choice.dtype} x {why}); no interval",
        device=source.device,
        unit=_unit(source),
        tokens_per_batch=DEFAULT_TOKENS_PER_BATCH,
        pads=_pads(choice),
        flops_per_s=ceiling * part,
    )


def _two(found: Fit) -> bool:
    return "attention" in found.terms


def _unit(evidence: Evidence) -> str:
    return "GPU hours" if evidence.on_gpu else "machine hours (CPU)"


def _pads(choice: Choice) -> bool:
    return RUNTIMES[choice.runtime].pads if choice.runtime in RUNTIMES else True
