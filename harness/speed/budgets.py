"""Token budgets of one embedder: how fast each is, and which still fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from embedders import Embedder, EmbedderSpec, InputError, arithmetic_of
from embedders.batching import batch_cost, plan_batches
from harness import features, measure
from harness.costs import Ceiling
from harness.provenance import Provenance
from harness.speed.contenders import Contender, measure_ceiling

SWEEP_SCHEMA = "embedder-migration/sweep/1"


@dataclass(frozen=True, slots=True)
class BudgetPoint:
    """One token budget: rates with the 95% interval of their geometric mean.

    ``padding`` is the share of slots that hold no token; ``peak_bytes`` the device's peak on a GPU
    and the process's peak resident set on a CPU, each in a process of its own.
    """

    tokens_per_batch: int
    batches: int
    residues_per_s: float
    lower: float
    upper: float
    utilisation: float
    padding: float
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class Sweep:
    """Token budgets of one embedder on one device, all in turn on equal inputs.

    ``failed`` is the first budget that ran out of memory, None if none did; ``best`` the smallest
    budget whose rate is within 2% of the largest.
    """

    schema: str
    spec: EmbedderSpec
    ceiling: Ceiling
    sequences: int
    residues: int
    steady: bool
    points: tuple[BudgetPoint, ...]
    best: int
    largest_fitting: int
    failed: int | None
    provenance: Provenance


def sweep(
    embedder: Embedder,
    loader: Callable[[], Embedder],
    sequences: Sequence[str],
    budgets: Sequence[int],
    *,
    rounds: int,
    layers: int | None,
    provenance: Provenance,
) -> Sweep:
    """Try token budgets from the smallest on, up to the first that runs out of memory.

    Parameters
    ----------
    embedder
        What ``loader`` loads; timed in this process.
    loader
        Picklable: the memory of each budget is measured in a process of its own.
    sequences
        Embedded whole in every round by every budget.

    Raises
    ------
    InputError
        If there is nothing to try, not even the smallest budget fits, or it is not known how much
        the embedder computes.
    """
    if not budgets or not sequences:
        raise InputError("a sweep needs budgets and sequences")
    arithmetic = arithmetic_of(embedder.spec.name, layers)
    if arithmetic is None:
        raise InputError(
            f"how much {embedder.spec.name} computes is not known, so it cannot be set against the "
            "ceiling; its package may say it by Plugin(block=…)"
        )
    fitting, failed = _fitting(embedder, sequences, sorted(set(budgets)))
    spec = embedder.spec
    contest = measure.interleave(
        {
            str(budget): partial(Contender(embedder, budget).embed, [sequences])
            for budget in fitting
        },
        rounds=rounds,
        device=spec.device,
    )
    ceiling = measure_ceiling(spec.device, spec.dtype)
    lengths = [min(len(each), spec.window_residues) for each in sequences]
    flops = measure.useful_flops(arithmetic, lengths)
    points = []
    for budget in fitting:
        planned = plan_batches(lengths, budget, pads=spec.pads)
        slots = sum(batch_cost([lengths[row] for row in b], pads=spec.pads) for b in planned)
        rate, lower, upper = _interval([sum(lengths) / s for s in contest.of(str(budget))])
        memory = measure.measure_memory(loader, sequences, arm=str(budget), tokens_per_batch=budget)
        points.append(
            BudgetPoint(
                tokens_per_batch=budget,
                batches=len(planned),
                residues_per_s=rate,
                lower=lower,
                upper=upper,
                utilisation=flops / sum(lengths) * rate / ceiling.flops_per_s,
                padding=1 - batch_cost(lengths, pads=False) / slots,
                peak_bytes=memory.device_peak_reserved_bytes or memory.host_peak_rss_bytes,
            )
        )
    fastest = max(point.residues_per_s for point in points)
    enough = (1 - measure.TOLERANCE) * fastest
    return Sweep(
        schema=SWEEP_SCHEMA,
        spec=spec,
        ceiling=ceiling,
        sequences=len(sequences),
        residues=sum(lengths),
        steady=contest.steady,
        points=tuple(points),
        best=next(p.tokens_per_batch for p in points if p.residues_per_s >= enough),
        largest_fitting=fitting[-1],
        failed=failed,
        provenance=provenance,
    )


def _fitting(
    embedder: Embedder, sequences: Sequence[str], budgets: Sequence[int]
) -> tuple[list[int], int | None]:
    """Return the budgets below the first that runs out of memory, and that one."""
    fitting: list[int] = []
    for budget in budgets:
        try:
            embedder.embed(sequences, tokens_per_batch=budget)
        except (RuntimeError, MemoryError) as error:
            if not features.is_out_of_memory(error):
                raise
            features.release_memory()
            if not fitting:
                raise InputError(
                    f"memory runs out on {embedder.spec.device} at {budget:,} tokens already: "
                    "begin with a smaller budget"
                ) from None
            return fitting, budget
        fitting.append(budget)
    return fitting, None


def _interval(rates: Sequence[float]) -> tuple[float, float, float]:
    """Return the geometric mean and its 95% interval (Student's t on logarithms)."""
    found = measure.summarise_pairs([(rate, 1.0) for rate in rates])
    return found.ratio, found.lower, found.upper
