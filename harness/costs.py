"""What measuring found beside plain seconds: ceilings, contests, rates, energy, split memory.

Each record has the strict JSON form that :func:`harness.results.to_json` gives.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields

from embedders.errors import InputError, UnknownName


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The fastest large matrix product on one device in one dtype.

    ``seconds`` holds the seconds per product of each timed run at ``size``, the side of the square
    operands; ``flops_per_s`` follows from the fastest of them. ``tf32`` tells whether float32
    products were allowed to use TensorFloat-32; None where that does not apply.
    """

    device: str
    dtype: str
    flops_per_s: float
    size: int
    seconds: tuple[float, ...]
    tf32: bool | None

    def __post_init__(self) -> None:
        _positive("Ceiling.flops_per_s", [self.flops_per_s])
        _positive("Ceiling.seconds", self.seconds)


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """The fastest triad ``a = b + s·c`` on one device: three arrays of ``array_bytes`` moved."""

    device: str
    bytes_per_s: float
    array_bytes: int
    seconds: tuple[float, ...]

    def __post_init__(self) -> None:
        _positive("Bandwidth.bytes_per_s", [self.bytes_per_s])
        _positive("Bandwidth.seconds", self.seconds)


@dataclass(frozen=True, slots=True)
class Energy:
    """Energy that the whole device took while one piece of work ran, whoever else used it."""

    joules: float
    method: str


@dataclass(frozen=True, slots=True)
class Contest:
    """Interleaved rounds of several arms on equal inputs.

    ``seconds[arm][i]`` belongs to the same round ``i`` of every arm; ``numbers[i]`` is the number
    that each arm was called with. ``steady`` tells whether the warm-up ended because the arms had
    become steady; False says that this was not seen within ``warmup_rounds``.
    """

    arms: tuple[str, ...]
    seconds: dict[str, tuple[float, ...]]
    clock: str
    warmup_rounds: int
    steady: bool

    def __post_init__(self) -> None:
        if not self.arms or set(self.arms) != set(self.seconds):
            raise InputError(
                f"a contest of {list(self.arms)} has seconds of {sorted(self.seconds)}: "
                "each arm needs its own"
            )
        rounds = {arm: len(self.seconds[arm]) for arm in self.arms}
        if len(set(rounds.values())) > 1:
            raise InputError(f"rounds are paired, but the arms differ in how many: {rounds}")
        for arm in self.arms:
            _positive(f"Contest.seconds of {arm!r}", self.seconds[arm])

    @property
    def rounds(self) -> int:
        """Rounds that count."""
        return len(self.seconds[self.arms[0]])

    @property
    def numbers(self) -> range:
        """The number that each counted round was called with; warm-up rounds came first."""
        return range(self.warmup_rounds, self.warmup_rounds + self.rounds)

    def of(self, arm: str) -> tuple[float, ...]:
        """Return one arm's seconds, round by round.

        Raises
        ------
        UnknownName
            If it did not take part.
        """
        if arm not in self.seconds:
            raise UnknownName("arm of the contest", arm, self.arms)
        return self.seconds[arm]


@dataclass(frozen=True, slots=True)
class Rate:
    """What one arm does in a second; each figure is the median over rounds of work over time.

    ``flops_per_s`` and ``utilisation`` (its part of the ceiling) count real residues and their
    BOS and EOS, never padding. ``padded_utilisation`` counts padded slots as work as well; None for
    an arm that does not pad.
    """

    arm: str
    residues_per_s: float
    sequences_per_s: float
    flops_per_s: float
    utilisation: float
    padded_utilisation: float | None


@dataclass(frozen=True, slots=True)
class MemorySplit:
    """Where the peak memory of one arm lies; None where that cannot be measured.

    On CUDA, device memory: ``weights_bytes`` allocated after loading, ``activations_bytes`` the
    peak of allocated above it, ``allocator_bytes`` reserved beyond allocated at their peaks,
    ``context_bytes`` what NVML saw beyond reserved. On a CPU, resident memory: after imports
    (context), grown by loading (weights, and what loading left in the C library's heap), peak of
    embedding above that (activations). ``peak_bytes`` is the sum of these parts.
    """

    arm: str
    device: str
    weights_bytes: int | None
    activations_bytes: int | None
    allocator_bytes: int | None
    context_bytes: int | None
    peak_bytes: int | None

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name.endswith("_bytes") and value is not None and value < 0:
                raise InputError(
                    f"{each.name} of {self.arm!r} is {value}: a part that came out below zero was "
                    "not measured, and is None"
                )


@dataclass(frozen=True, slots=True)
class RooflinePoint:
    """One arm in a roofline figure: useful FLOPs per byte moved, and useful FLOPs per second."""

    arm: str
    dtype: str
    flops_per_byte: float
    flops_per_s: float


@dataclass(frozen=True, slots=True)
class Roofline:
    """Everything that a roofline figure draws: one roof per dtype, and the arms below them."""

    ceilings: tuple[Ceiling, ...]
    bandwidth: Bandwidth
    points: tuple[RooflinePoint, ...]

    def __post_init__(self) -> None:
        devices = {self.bandwidth.device, *(each.device for each in self.ceilings)}
        if len(devices) > 1:
            raise InputError(f"one roofline is of one device, not of {sorted(devices)}")
        for point in self.points:
            self.ceiling(point.dtype)

    def ceiling(self, dtype: str) -> Ceiling:
        """Return the ceiling of a dtype.

        Raises
        ------
        UnknownName
            If none was measured.
        """
        for each in self.ceilings:
            if each.dtype == dtype:
                return each
        raise UnknownName("dtype of a ceiling", dtype, [each.dtype for each in self.ceilings])

    def attainable_flops_per_s(self, dtype: str, flops_per_byte: float) -> float:
        """Return the roof: ``min(ceiling, bandwidth · intensity)``.

        Williams, Waterman and Patterson, "Roofline: an insightful visual performance model for
        multicore architectures", Communications of the ACM 52(4), 2009.
        """
        return min(self.ceiling(dtype).flops_per_s, self.bandwidth.bytes_per_s * flops_per_byte)

    def ridge_flops_per_byte(self, dtype: str) -> float:
        """Return the intensity from which on the ceiling binds, and no longer the bandwidth."""
        return self.ceiling(dtype).flops_per_s / self.bandwidth.bytes_per_s


@dataclass(frozen=True, slots=True)
class Speedup:
    """Paired rounds on equal inputs: baseline seconds over candidate seconds."""

    baseline_s: tuple[float, ...]
    candidate_s: tuple[float, ...]
    ratio: float
    lower: float
    upper: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Factor:
    """One step of a chain of arms, and how many times faster it made the run."""

    factor: str
    slow: str
    fast: str
    speedup: Speedup


@dataclass(frozen=True, slots=True)
class Attribution:
    """The total gain of a migration as a product of factors, in two orders.

    Factors are geometric means over the same rounds, so their product is the total exactly. They
    need not commute: a runtime may gain more on the smaller model. ``sequences_per_round`` were
    timed here: fewer than elsewhere fill batches less, and gain less.
    """

    baseline: str
    candidate: str
    sequences_per_round: int
    total: Speedup
    size_first: tuple[Factor, ...]
    runtime_first: tuple[Factor, ...]
    rates: tuple[Rate, ...]
    ceilings: tuple[Ceiling, ...]
    steady: bool


def _positive(name: str, values: Iterable[float]) -> None:
    found = list(values)
    if not found or not all(value > 0 and math.isfinite(value) for value in found):
        raise InputError(f"{name} must be finite and above zero, not {found}")
