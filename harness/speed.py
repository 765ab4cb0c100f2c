"""How fast embedders are beside each other: token budgets, runtimes, and what a gain is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from embedders import Embedder, EmbedderSpec, InputError, checkpoint
from embedders.batching import batch_cost, plan_batches
from harness import features, measure
from harness.costs import Ceiling, Contest, Rate
from harness.provenance import Provenance
from harness.results import Speedup

SWEEP_SCHEMA = "embedder-migration/sweep/1"
ATTRIBUTION_SCHEMA = "embedder-migration/attribution/1"

_DEPLOYED = ("fair-esm", "float32")
_HALVED = ("fair-esm", "bfloat16")
_PACKED = ("packed", "bfloat16")

Loader = Callable[..., Embedder]
"""``loader(name, runtime=…, dtype=…)``, with weights, device and depth already chosen."""


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
    need not commute: a runtime may gain more on the smaller model.
    """

    schema: str
    baseline: str
    candidate: str
    total: Speedup
    size_first: tuple[Factor, ...]
    runtime_first: tuple[Factor, ...]
    rates: tuple[Rate, ...]
    ceilings: tuple[Ceiling, ...]
    steady: bool
    provenance: Provenance


def sweep(
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
    loader
        Picklable: the memory of each budget is measured in a process of its own.
    sequences
        Embedded whole in every round by every budget.

    Raises
    ------
    InputError
        If there is nothing to try, or not even the smallest budget fits.
    """
    if not budgets or not sequences:
        raise InputError("a sweep needs budgets and sequences")
    embedder = loader()
    fitting, failed = _fitting(embedder, sequences, sorted(set(budgets)))
    spec = embedder.spec
    contest = measure.interleave(
        {str(budget): partial(_embed, embedder, [sequences], budget) for budget in fitting},
        rounds=rounds,
        device=spec.device,
    )
    ceiling = _ceiling(spec.device, spec.dtype)
    lengths = [min(len(each), spec.window_residues) for each in sequences]
    flops = measure.useful_flops(checkpoint(spec.name).architecture(layers), lengths)
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


def side_by_side(
    embedders: Mapping[str, Embedder],
    inputs: Sequence[Sequence[str]],
    *,
    tokens_per_batch: int,
    rounds: int,
    max_warmup_rounds: int,
    layers: int | None = None,
) -> tuple[Contest, tuple[Rate, ...], tuple[Ceiling, ...]]:
    """Let embedders contend on equal rounds; rates are of their own dtype's ceiling.

    ``inputs[i]`` is round ``i``; where there are fewer than rounds, they come again, the same for
    every arm.
    """
    specs = {name: embedder.spec for name, embedder in embedders.items()}
    device = next(iter(specs.values())).device
    contest = measure.interleave(
        {
            name: partial(_embed, embedder, inputs, tokens_per_batch)
            for name, embedder in embedders.items()
        },
        rounds=rounds,
        device=device,
        max_warmup_rounds=max_warmup_rounds,
    )
    ceilings = {
        dtype: _ceiling(device, dtype) for dtype in sorted({spec.dtype for spec in specs.values()})
    }
    rates = []
    for name, spec in specs.items():
        window = spec.window_residues
        counted = [
            [min(len(each), window) for each in inputs[n % len(inputs)]] for n in contest.numbers
        ]
        architecture = checkpoint(spec.name).architecture(layers)
        padded = [
            measure.padded_flops(
                architecture,
                [[each[row] for row in batch] for batch in plan_batches(each, tokens_per_batch)],
            )
            for each in counted
        ]
        rates.append(
            measure.rate(
                name,
                contest,
                [sum(each) for each in counted],
                [len(each) for each in counted],
                [measure.useful_flops(architecture, each) for each in counted],
                ceilings[spec.dtype],
                padded if spec.pads else None,
            )
        )
    return contest, tuple(rates), tuple(ceilings.values())


def attribute(
    loader: Loader,
    baseline: str,
    candidate: str,
    inputs: Sequence[Sequence[str]],
    *,
    tokens_per_batch: int,
    rounds: int,
    layers: int | None,
    provenance: Provenance,
) -> Attribution:
    """Split the gain from the deployed baseline to the packed candidate into its factors.

    ``baseline`` on fair-esm in float32 against ``candidate`` on packed in bfloat16; in between one
    thing changes at a time. All six models are resident at once.
    """
    size_first = [
        (baseline, *_DEPLOYED),
        (candidate, *_DEPLOYED),
        (candidate, *_HALVED),
        (candidate, *_PACKED),
    ]
    runtime_first = [
        (baseline, *_DEPLOYED),
        (baseline, *_HALVED),
        (baseline, *_PACKED),
        (candidate, *_PACKED),
    ]
    arms = {" ".join(arm): arm for arm in (*size_first, *runtime_first)}
    embedders = {
        title: loader(name, runtime=how, dtype=number)
        for title, (name, how, number) in arms.items()
    }
    contest, rates, ceilings = side_by_side(
        embedders,
        inputs,
        tokens_per_batch=tokens_per_batch,
        rounds=rounds,
        max_warmup_rounds=4,
        layers=layers,
    )
    first, last = " ".join(size_first[0]), " ".join(size_first[-1])
    return Attribution(
        schema=ATTRIBUTION_SCHEMA,
        baseline=baseline,
        candidate=candidate,
        total=measure.speedup_in(contest, first, last),
        size_first=_factors(contest, ("size", "dtype", "runtime"), size_first),
        runtime_first=_factors(contest, ("dtype", "runtime", "size"), runtime_first),
        rates=rates,
        ceilings=ceilings,
        steady=contest.steady,
        provenance=provenance,
    )


def _factors(
    contest: Contest, names: Sequence[str], chain: Sequence[tuple[str, ...]]
) -> tuple[Factor, ...]:
    titles = [" ".join(arm) for arm in chain]
    return tuple(
        Factor(name, slow, fast, measure.speedup_in(contest, slow, fast))
        for name, (slow, fast) in zip(names, pairwise(titles), strict=True)
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


def _ceiling(device: str, dtype: str) -> Ceiling:
    """Measure at the sides that fill such a device."""
    sides = (1024, 2048) if device == "cpu" else (4096, 8192, 16384)
    return measure.gemm_ceiling(device, dtype, sizes=sides)


def _interval(rates: Sequence[float]) -> tuple[float, float, float]:
    """Return the geometric mean and its 95% interval (Student's t on logarithms)."""
    found = measure.summarise_pairs([(rate, 1.0) for rate in rates])
    return found.ratio, found.lower, found.upper


def _embed(
    embedder: Embedder, inputs: Sequence[Sequence[str]], tokens_per_batch: int, number: int
) -> object:
    return embedder.embed(inputs[number % len(inputs)], tokens_per_batch=tokens_per_batch)
