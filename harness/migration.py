"""Strings the wings together: one migration, measured step by step, then concluded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from embedders import describe
from harness import measure, provenance, report
from harness.arms import Arms
from harness.efficiency import Efficiency
from harness.findings import Findings
from harness.preparation import Preparation
from harness.results import (
    AGREEMENT,
    BOTH_ARMS,
    Comparison,
    ParityCheck,
    Throughput,
    WidthRow,
    write_comparison,
)
from harness.retraining import Retraining
from harness.spec import ArmName, Dataset, MigrationSpec, read_spec

PARITY_SEQUENCES = 24
"""About so many sequences of all lengths are compared between libraries."""
COMPARED_SEQUENCES = 64
"""About so many are compared between the arms: neighbours need company."""


class Migration:
    """One run of one migration in a folder of its own.

    Each step measures once and remembers; :meth:`conclude` judges whatever has been measured. So
    a suite may run any part of it in any order.

    ``first``: another migration from the same baseline on the same data. Its baseline is not
    measured, embedded or retrained again, and a record that the candidate of either rejects is left
    out of both.
    """

    def __init__(
        self,
        spec: MigrationSpec,
        folder: Path,
        *,
        spec_file: Path,
        command: str,
        progress: bool = False,
        first: Migration | None = None,
    ) -> None:
        self.spec = spec
        self.folder = folder
        self.found = Findings()
        arms: Arms | None = None if first is None else first.arms
        preparation = Preparation(
            spec, folder / "features", first=None if arms is None else arms.preparation
        )
        self.arms: Arms = Arms(spec, preparation, first=arms)
        self.efficiency = Efficiency(self.arms, self.found)
        self.retraining = Retraining(self.arms, self.found, folder, progress=progress)
        self._first = first
        self._spec_file = spec_file
        self._command = command
        self._started = datetime.now(UTC)

    @classmethod
    def prepare(
        cls,
        spec_file: Path,
        *,
        results: Path,
        command: str,
        weights: str | None = None,
        device: str | None = None,
        layers: int | None = None,
        progress: bool = False,
    ) -> Migration:
        """Read a migration file and make the run's own folder below ``results``.

        Raises
        ------
        InputError
            If the file cannot be used, the folder cannot be made, or the weights of an arm were
            fine-tuned on proteins of a data set.
        """
        spec = read_spec(spec_file).with_overrides(weights=weights, device=device, layers=layers)
        with report.new_run_folder(results, spec.name) as folder:
            return cls(spec, folder, spec_file=spec_file, command=command, progress=progress)

    def machine(self) -> dict[str, object]:
        """Return this machine as plain values, for other tools' records."""
        return asdict(provenance.machine())

    def widths(self, arm: ArmName) -> WidthRow:
        """Embed a sequence and read the widths off what came out."""
        key = (arm.value, 0)
        if key not in self.found.widths:
            protein = self.arms.embedder(arm).embed(self.arms.rounds()[0][:1]).shape[1]
            dna = self.arms.preparation.dna_width()
            self.found.widths[key] = WidthRow(
                arm=arm,
                embedder=self.spec.arm(arm).embedder,
                dna=dna,
                protein=protein,
                merged=dna + protein,
                expected=self.spec.arm(arm).expected_width,
                source="data",
            )
        return self.found.widths[key]

    def full_size_widths(self, name: str, dna: int) -> WidthRow:
        """Return the widths that a full-size architecture gives beside a DNA half of ``dna``."""
        width = describe(name).width
        row = WidthRow("", name, dna, width, dna + width, expected=None, source="architecture")
        self.found.widths[name, dna] = row
        return row

    def parity(self, arm: ArmName) -> tuple[ParityCheck, ...]:
        """Ask whether an arm computes what it should; see :func:`harness.measure.examine`."""
        if arm.value not in self.found.parity:
            plan = self.spec.arm(arm)
            # a round is ordered by length: even steps through it take short and long ones
            sequences = self.arms.rounds()[0]
            embedder = self.arms.embedder(arm)
            other = measure.reference_runtime(embedder.spec.name, embedder.spec.runtime)
            found = measure.examine(
                embedder,
                None if other is None else partial(self.arms.in_runtime, arm, other, "float32"),
                sequences[:: max(1, len(sequences) // PARITY_SEQUENCES)],
                arm=arm,
                tokens_per_batch=plan.tokens_per_batch,
            )
            self.found.parity[arm.value] = found.checks
            if found.unasked:
                self.found.inapplicable[f"{arm}: {AGREEMENT}"] = found.unasked
        return self.found.parity[arm.value]

    def similarity(self) -> tuple[ParityCheck, ...]:
        """Ask whether both arms carry like information; see :func:`harness.measure.similarity`."""
        if BOTH_ARMS not in self.found.parity:
            pool = [each for sequences in self.arms.rounds() for each in sequences]
            sequences = pool[:: max(1, len(pool) // COMPARED_SEQUENCES)]
            matrices = [
                self.arms.embedder(arm).embed(
                    sequences, tokens_per_batch=self.spec.arm(arm).tokens_per_batch
                )
                for arm in ArmName
            ]
            self.found.parity[BOTH_ARMS] = measure.similarity(*matrices, seed=0)
        return self.found.parity[BOTH_ARMS]

    def steps(self) -> Iterator[tuple[str, Callable[[], object]]]:
        """Yield every step of a whole run with its name, in an order that fails early."""
        yield from self.measuring()
        yield from self.classifying()

    def measuring(self) -> Iterator[tuple[str, Callable[[], object]]]:
        """Yield the steps that ask what each arm computes, and what it costs."""
        for arm in self._own_arms():
            yield f"widths of the {arm}", partial(self.widths, arm)
            yield f"parity of the {arm}", partial(self.parity, arm)
        yield "likeness of both arms", self.similarity
        for arm in self._own_arms():
            yield f"throughput of the {arm}", partial(self._throughput, arm)
        yield "paired speed-up", self.efficiency.speedup
        for arm in self._own_arms():
            yield f"repeated sequences of the {arm}", partial(self.efficiency.repeats, arm)
        if self.spec.throughput.attribution_rounds:
            yield "what the speed-up is made of", self.efficiency.attribution
        for arm in self._own_arms():
            yield f"memory of the {arm}", partial(self.efficiency.memory, arm)

    def embedding(self) -> Iterator[tuple[str, Callable[[], object]]]:
        """Yield the steps that embed what is classified; classifying does so as well."""
        for dataset in self.spec.datasets:
            for arm in filter(self.arms.has_learnt_weights, self._own_arms()):
                yield (
                    f"embedding of {dataset.name} by the {arm}",
                    partial(self._embed, dataset, arm),
                )

    def classifying(self) -> Iterator[tuple[str, Callable[[], object]]]:
        """Yield the steps that retrain the classifier on the features of each arm."""
        learnt = [arm for arm in ArmName if self.arms.has_learnt_weights(arm)]
        for dataset in self.spec.datasets:
            for arm in filter(learnt.__contains__, self._own_arms()):
                yield (
                    f"classification of {dataset.name} by the {arm}",
                    partial(self.retraining.classify, dataset.name, arm),
                )
            if learnt == list(ArmName):
                yield (
                    f"halves of the features of {dataset.name}",
                    partial(self.retraining.modalities, dataset.name),
                )

    def adopt_baseline(self) -> None:
        """Take over what the first migration has found of the baseline so far."""
        if self._first is not None:
            self.found.adopt_baseline(self._first.found)
            self.retraining.adopt_baseline(self._first.retraining)

    def conclude(self) -> Comparison:
        """Judge what was measured and write JSON, CSV and the report."""
        comparison = self.compare()
        write_comparison(comparison, self.folder)
        report.write_tables(comparison, self.folder)
        return comparison

    def compare(self) -> Comparison:
        """Judge what was measured, and write nothing."""
        return self.found.compare(
            run=self.folder.name,
            spec=self.spec,
            provenance=provenance.collect(self._command, self.input_files(), self._started),
            arms={arm.value: spec for arm, spec in sorted(self.arms.specs.items())},
            extraction=self.arms.preparation.extractions,
        )

    def _own_arms(self) -> tuple[ArmName, ...]:
        """Return the arms that no other migration measures."""
        return tuple(ArmName) if self._first is None else (ArmName.CANDIDATE,)

    def _embed(self, dataset: Dataset, arm: ArmName) -> None:
        self.arms.preparation.embed(dataset, arm, self.arms.embedder(arm))

    def _throughput(self, arm: ArmName) -> Throughput | None:
        """Time an arm by itself where pytest-benchmark does not."""
        device = self.arms.embedder(arm).spec.device

        def timer(
            work: Callable[[int], object], rounds: int, warmup_rounds: int
        ) -> list[float] | None:
            return measure.time_rounds(
                work, rounds=rounds, warmup_rounds=warmup_rounds, device=device
            )

        return self.efficiency.throughput(arm, timer, timer_name="wall clock")

    def input_files(self) -> tuple[Path, ...]:
        """Return the migration file and every data file."""
        return (self._spec_file, *(path for each in self.spec.datasets for path in each.inputs()))
