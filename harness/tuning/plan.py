"""What the judged comparison compares, and how."""

from __future__ import annotations

from dataclasses import dataclass

from embedders import checkpoint
from harness.spec import Dataset, MigrationSpec
from harness.tuning.errors import TuningError
from harness.tuning.recipe import TuningRecipe
from harness.tuning.tuned import Start


@dataclass(frozen=True, slots=True)
class TuningPlan:
    """A migration whose candidate is fine-tuned, on its data sets and with the first of its seeds.

    ``datasets``: names of those that are judged; none stands for all. ``seeds``: how many of the
    migration's; None for all. ``threads`` on a CPU for each of ``workers`` processes.

    Raises
    ------
    TuningError
        If a data set is not the migration's, or the arms' weights or code cannot be compared.
    InputError
        If the candidate is no ESM-2.
    """

    spec: MigrationSpec
    recipe: TuningRecipe
    datasets: tuple[str, ...] = ()
    seeds: int | None = None
    threads: int = 1
    workers: int = 1

    def __post_init__(self) -> None:
        known = [each.name for each in self.spec.datasets]
        for name in self.datasets:
            if name not in known:
                raise TuningError(f"{name!r} is no data set of the migration; choose of {known}")
        arms = (self.spec.baseline, self.spec.candidate)
        if any((arm.weights or "").startswith("random") for arm in arms):
            raise TuningError(
                "random weights have learnt nothing to compare; give both arms trained ones"
            )
        if self.spec.candidate.remote_code:
            raise TuningError("a candidate with code of its own cannot be fine-tuned; leave it out")
        checkpoint(self.spec.candidate.embedder).architecture()

    @property
    def judged(self) -> tuple[Dataset, ...]:
        """The data sets."""
        return tuple(
            each for each in self.spec.datasets if not self.datasets or each.name in self.datasets
        )

    @property
    def chosen_seeds(self) -> tuple[int, ...]:
        """The seeds."""
        return self.spec.classification.seeds[: self.seeds]

    @property
    def start(self) -> Start:
        """What is fine-tuned."""
        arm = self.spec.candidate
        return Start(
            row=checkpoint(arm.embedder),
            weights=arm.weights,
            revision=arm.revision,
            device=self.spec.embedding.device,
            threads=self.threads,
        )
