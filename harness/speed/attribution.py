"""What the gain of a migration is made of: smaller model, dtype and runtime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from embedders import Embedder
from harness import measure
from harness.costs import Attribution, Contest, Factor
from harness.provenance import Provenance
from harness.speed.contenders import Contender, measure_ceilings, side_by_side

ATTRIBUTION_SCHEMA = "embedder-migration/attribution/1"

_DEPLOYED = ("fair-esm", "float32")
_HALVED = ("fair-esm", "bfloat16")
_PACKED = ("packed", "bfloat16")

Loader = Callable[..., Embedder]
"""``loader(name, runtime=…, dtype=…)``, with weights, device and depth already chosen."""


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
    contenders = {
        title: Contender(loader(name, runtime=how, dtype=number), tokens_per_batch, layers)
        for title, (name, how, number) in arms.items()
    }
    ceilings = measure_ceilings(each.embedder for each in contenders.values())
    contest, rates = side_by_side(contenders, inputs, ceilings, rounds=rounds, max_warmup_rounds=4)
    first, last = " ".join(size_first[0]), " ".join(size_first[-1])
    return Attribution(
        schema=ATTRIBUTION_SCHEMA,
        baseline=baseline,
        candidate=candidate,
        total=measure.speedup_in(contest, first, last),
        size_first=_factors(contest, ("size", "dtype", "runtime"), size_first),
        runtime_first=_factors(contest, ("dtype", "runtime", "size"), runtime_first),
        rates=rates,
        ceilings=tuple(ceilings.values()),
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
