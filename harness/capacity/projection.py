"""What a whole run will take on each arm, and how the arms compare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from embedders import WINDOW_RESIDUES, InputError, Modality, Truncation, checkpoint
from harness.capacity.basis import Basis
from harness.capacity.demand import Lengths
from harness.capacity.estimates import Estimate
from harness.capacity.pricing import HOUR_S, KWH_J, Fleet, Price
from harness.capacity.storage import Storage, storage_of
from harness.capacity.work import Way, useful_run, whole_run
from harness.features import DEFAULT_SHARD_SIZE, Format
from harness.provenance import Provenance
from harness.spec import ArmName

SCHEMA = "embedder-migration/plan/1"


@dataclass(frozen=True, slots=True)
class Demand:
    """What is to be embedded, and how it is kept; ``dna`` is None for proteins alone."""

    sequences: int
    lengths: Lengths
    truncation: Truncation = Truncation.TRUNCATE
    dna: str | None = None
    shard_format: Format = Format.PT
    shard_size: int = DEFAULT_SHARD_SIZE

    def __post_init__(self) -> None:
        if self.sequences < 1 or self.shard_size < 1:
            raise InputError("a plan needs at least one sequence, and one to a shard")
        if self.dna is not None and checkpoint(self.dna).modality is not Modality.NUCLEOTIDE:
            raise InputError(f"{self.dna} embeds no DNA; choose one of 'harness list' that does")

    @property
    def window(self) -> int | None:
        """The most residues that enter a model; None for all."""
        return None if self.truncation is Truncation.LEGACY else WINDOW_RESIDUES


@dataclass(frozen=True, slots=True)
class ArmPlan:
    """One arm's figures; None is one that nothing is known of.

    ``flops`` are useful ones. ``device_hours`` add up over devices, ``wall_hours`` is how long it
    takes with all of them. ``extrapolated`` tells whether sequences are clearly shorter or longer
    than those that were timed.
    """

    basis: Basis
    flops: float
    device_hours: Estimate
    wall_hours: Estimate
    sequences_per_s: Estimate
    energy_kwh: Estimate | None
    energy_origin: str
    price: Estimate | None
    storage: Storage
    extrapolated: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """Both arms' figures for one demand."""

    schema: str
    demand: Demand
    devices: int
    scaling_efficiency: float
    price: Price | None
    baseline: ArmPlan
    candidate: ArmPlan
    notes: tuple[str, ...]
    provenance: Provenance

    def arm(self, name: ArmName) -> ArmPlan:
        """Return one arm's figures."""
        return self.baseline if name is ArmName.BASELINE else self.candidate


def project(demand: Demand, basis: Basis, fleet: Fleet) -> ArmPlan:
    """Return what a demand takes with one arm."""
    arithmetic = basis.choice.arithmetic()
    way = Way(arithmetic, basis.tokens_per_batch, basis.pads, demand.window, demand.shard_size)
    executed = whole_run(way, demand.lengths, demand.sequences)
    useful = useful_run(way, demand.lengths, demand.sequences)
    started = replace(executed, starts=fleet.devices)  # each device loads the model once
    hours = basis.seconds(started, useful).times(1 / (HOUR_S * fleet.kept))
    watts = fleet.watts if fleet.watts is not None else basis.watts
    stated = "stated" if fleet.watts is not None else "measured in the same run"
    dna_width = None if demand.dna is None else checkpoint(demand.dna).width
    return ArmPlan(
        basis=basis,
        flops=useful.flops,
        device_hours=hours,
        wall_hours=hours.times(1 / fleet.devices),
        sequences_per_s=_rate(demand.sequences, basis.seconds(executed, useful)),
        energy_kwh=None if watts is None else hours.times(watts * HOUR_S / KWH_J),
        energy_origin="not known: nothing measured it; give --power W"
        if watts is None
        else f"{watts:,.4g} W a device, {stated}",
        price=None if fleet.price is None else hours.times(fleet.price.per_hour),
        storage=storage_of(
            demand.sequences,
            checkpoint(basis.choice.embedder).width,
            dna_width,
            id_bytes=demand.lengths.id_bytes,
            shard_format=demand.shard_format,
            shard_size=demand.shard_size,
        ),
        extrapolated=basis.fit is not None and basis.fit.extrapolates(executed),
    )


def compare(
    demand: Demand, bases: Mapping[ArmName, Basis], fleet: Fleet, provenance: Provenance
) -> Plan:
    """Project both arms and say what the figures take for granted.

    Raises
    ------
    InputError
        If the arms are of two devices.
    """
    devices = {each.device for each in bases.values()}
    if len(devices) > 1:
        raise InputError(f"the arms are of two devices and cannot be compared: {sorted(devices)}")
    arms = {name: project(demand, basis, fleet) for name, basis in bases.items()}
    return Plan(
        schema=SCHEMA,
        demand=demand,
        devices=fleet.devices,
        scaling_efficiency=fleet.kept,
        price=fleet.price,
        baseline=arms[ArmName.BASELINE],
        candidate=arms[ArmName.CANDIDATE],
        notes=tuple(_notes(demand, arms, fleet)),
        provenance=provenance,
    )


def _rate(sequences: int, seconds: Estimate) -> Estimate:
    return Estimate(
        sequences / seconds.value,
        None if seconds.upper is None else sequences / seconds.upper,
        None if seconds.lower is None else sequences / seconds.lower,
    )


def _notes(demand: Demand, arms: Mapping[ArmName, ArmPlan], fleet: Fleet) -> list[str]:
    notes = []
    cut = 0.0 if demand.window is None else demand.lengths.longer_than(demand.window)
    if cut:
        notes.append(f"{cut:.2%} of the sequences are longer than {demand.window:,} and are cut")
    for name, arm in arms.items():
        found = arm.basis.fit
        if arm.extrapolated and found is not None:
            doubt = (
                "both rates are carried on"
                if "attention" in found.terms
                else "the interval allows for attention at an unknown rate"
            )
            notes.append(
                f"{name}: sequences are clearly shorter or longer than those that were timed; "
                f"{doubt}"
            )
    if len({arm.basis.origin for arm in arms.values()}) > 1:
        notes.append("one arm is measured and the other computed: their ratio is no measurement")
    if fleet.devices > 1:
        how = "linear scaling" if fleet.kept == 1 else f"scaling efficiency {fleet.kept:.4g}"
        notes.append(f"{fleet.devices:,} devices side by side: {how}, assumed and not measured")
    notes.append(
        "intervals hold for a machine as steady as in the run; another day's drift is not in them"
    )
    notes.append("not in the time: the DNA half, merging, training and prediction")
    return notes
