"""What the gain of a migration is made of: smaller model, dtype and runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from embedders import Embedder
from harness import measure
from harness.costs import Attribution, Contest, Factor
from harness.speed.contenders import Contender, measure_ceilings, side_by_side


@dataclass(frozen=True, slots=True)
class Cell:
    """A checkpoint in a runtime and a dtype; ``key`` says whose weights, e.g. which arm's."""

    key: str
    name: str
    runtime: str
    dtype: str

    @classmethod
    def of(cls, key: str, embedder: Embedder) -> Cell:
        """Describe an embedder that is loaded."""
        return cls(key, embedder.spec.name, embedder.spec.runtime, embedder.spec.dtype)

    def __str__(self) -> str:
        return f"{self.name} {self.runtime} {self.dtype}"


def attribute(
    load: Callable[[Cell], Contender],
    slow: Cell,
    fast: Cell,
    inputs: Sequence[Sequence[str]],
    *,
    rounds: int,
    max_warmup_rounds: int = 4,
) -> Attribution:
    """Split the gain from one cell to another into its factors.

    In between one thing changes at a time: checkpoint, dtype, runtime; what is the same in both
    cells is no factor. All models, six at most, are resident at once.

    Parameters
    ----------
    load
        Loads one cell.
    slow, fast
        Where the migration starts and where it ends.
    inputs
        ``inputs[i]`` is round ``i``; where there are fewer than rounds, they come again.
    rounds
        That count, at least 2.
    max_warmup_rounds
        That go before them.
    """
    size_first = [slow, replace(slow, key=fast.key, name=fast.name)]
    size_first += [replace(size_first[-1], dtype=fast.dtype), fast]
    runtime_first = [slow, replace(slow, dtype=fast.dtype)]
    runtime_first += [replace(runtime_first[-1], runtime=fast.runtime), fast]
    arms = {str(cell): cell for cell in (*size_first, *runtime_first)}
    contenders = {title: load(cell) for title, cell in arms.items()}
    ceilings = measure_ceilings(each.embedder for each in contenders.values())
    contest, rates = side_by_side(
        contenders, inputs, ceilings, rounds=rounds, max_warmup_rounds=max_warmup_rounds
    )
    return Attribution(
        baseline=slow.name,
        candidate=fast.name,
        sequences_per_round=len(inputs[0]),
        total=measure.speedup_in(contest, str(slow), str(fast)),
        size_first=tuple(_factors(contest, ("size", "dtype", "runtime"), size_first)),
        runtime_first=tuple(_factors(contest, ("dtype", "runtime", "size"), runtime_first)),
        rates=rates,
        ceilings=tuple(ceilings.values()),
        steady=contest.steady,
    )


def _factors(contest: Contest, names: Sequence[str], chain: Sequence[Cell]) -> Iterator[Factor]:
    for name, (slow, fast) in zip(names, pairwise(map(str, chain)), strict=True):
        if slow != fast:
            yield Factor(name, slow, fast, measure.speedup_in(contest, slow, fast))
