"""Strings the wings together: one migration, measured step by step, then concluded."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from classifier import recipe_named
from embedders import Embedder, Outline, Truncation, describe
from harness import judge, measure, provenance, report
from harness.costs import Speedup
from harness.evidence import Classification
from harness.findings import Findings
from harness.preparation import Preparation
from harness.results import Comparison, Memory, ParityCheck, Throughput, WidthRow, write_comparison
from harness.spec import ArmName, MigrationSpec, read_spec

Timer = Callable[[Callable[[int], object], int, int], list[float] | None]
"""Calls ``work(0)``, ``work(1)`` … through warm-up and counted rounds; returns the counted
seconds, or None where timing is switched off."""

SAMPLE_SEQUENCES = 20_000
"""At most so many sequences are read to draw timed rounds from."""
PARITY_SEQUENCES = 24
"""About so many sequences of all lengths are compared."""


class Migration:
    """One run of one migration in a folder of its own.

    Each step measures once and remembers; :meth:`conclude` judges whatever has been measured. So
    a suite may run any part of it in any order.
    """

    def __init__(self, spec: MigrationSpec, folder: Path, *, spec_file: Path, command: str) -> None:
        self.spec = spec
        self.folder = folder
        self.found = Findings()
        self._spec_file = spec_file
        self._command = command
        self._started = datetime.now(UTC)
        self._preparation = Preparation(spec, folder / "features")
        self._embedders: dict[ArmName, Embedder] = {}
        self._rounds: list[list[str]] = []

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
    ) -> Migration:
        """Read a migration file and make the run's own folder below ``results``.

        Raises
        ------
        InputError
            If the file cannot be used or the folder cannot be made.
        """
        spec = read_spec(spec_file).with_overrides(weights=weights, device=device, layers=layers)
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        folder = report.new_folder(results, f"{spec.name}-{stamp}")
        return cls(spec, folder, spec_file=spec_file, command=command)

    def embedder(self, arm: ArmName) -> Embedder:
        """Return one arm's embedder, loaded once."""
        if arm not in self._embedders:
            self._embedders[arm] = self._preparation.loader(self.spec.arm(arm))()
        return self._embedders[arm]

    def in_runtime(self, arm: ArmName, runtime: str, dtype: str) -> Embedder:
        """Load an arm's weights into another runtime."""
        return self._preparation.loader(self.spec.arm(arm), runtime=runtime, dtype=dtype)()

    def has_learnt_weights(self, arm: ArmName) -> bool:
        """Tell whether an arm's weights were trained, so that classification means something."""
        return not (self.spec.arm(arm).weights or "").startswith("random")

    def outline(self, arm: ArmName) -> Outline:
        """Return what an arm's full-size architecture is, built without weights or memory."""
        plan = self.spec.arm(arm)
        return describe(plan.embedder, plan.runtime)

    def machine(self) -> dict[str, object]:
        """Return this machine as plain values, for other tools' records."""
        return asdict(provenance.machine())

    def widths(self, arm: ArmName) -> WidthRow:
        """Embed a sequence and read the widths off what came out."""
        key = (arm.value, 0)
        if key not in self.found.widths:
            protein = self.embedder(arm).embed(self.rounds()[0][:1]).shape[1]
            dna = self._preparation.dna_width()
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

    def rounds(self) -> list[list[str]]:
        """Return the sequences of each timed round, warm-up first; no sequence comes twice."""
        if not self._rounds:
            plan = self.spec.throughput
            sample = self._preparation.sample(
                plan.dataset, self.embedder(ArmName.BASELINE), SAMPLE_SEQUENCES
            )
            subsets = measure.like_subsets(
                [len(sequence) for sequence in sample],
                subsets=plan.warmup_rounds + plan.rounds,
                rows=plan.sequences,
            )
            self._rounds = [[sample[row] for row in subset] for subset in subsets]
        return self._rounds

    def parity(self, arm: ArmName) -> tuple[ParityCheck, ...]:
        """Ask whether an arm depends on batch or order, and agrees with the other library."""
        if arm not in self.found.parity:
            plan = self.spec.arm(arm)
            # a round is ordered by length: even steps through it take short and long ones
            sequences = self.rounds()[0]
            sequences = sequences[:: max(1, len(sequences) // PARITY_SEQUENCES)]
            embedder = self.embedder(arm)
            other = measure.other_runtime(embedder.spec.runtime)
            # The reference is dropped at once: it may be as large as the arm itself.
            reference = self._preparation.loader(plan, runtime=other, dtype="float32")().embed(
                sequences
            )
            gc.collect()
            self.found.parity[arm] = (
                measure.batch_invariance(
                    embedder, sequences, arm=arm, tokens_per_batch=plan.tokens_per_batch
                ),
                measure.agreement(
                    embedder.embed(sequences, tokens_per_batch=plan.tokens_per_batch),
                    reference,
                    arm=arm,
                    check=f"agreement with {other}",
                    sentence=f"{len(sequences)} sequences against {other} in float32",
                    dtype=embedder.spec.dtype,
                ),
            )
        return self.found.parity[arm]

    def throughput(self, arm: ArmName, timer: Timer, *, timer_name: str) -> Throughput | None:
        """Time rounds of distinct sequences with like length mixes; None if nothing was timed."""
        plan = self.spec.throughput
        seconds = timer(self._work(arm), plan.rounds, plan.warmup_rounds)
        if seconds is None:
            return None
        # what is cut off is not embedded, so it is not counted; legacy truncation cuts nothing off
        spec = self.embedder(arm).spec
        whole = spec.truncation is Truncation.LEGACY
        counted = [
            sum(len(each) if whole else min(len(each), spec.window_residues) for each in sequences)
            for sequences in self.rounds()[plan.warmup_rounds :]
        ]
        self.found.throughput[arm] = measure.summarise_rounds(
            arm,
            timer_name,
            residues=counted,
            sequences=plan.sequences,
            seconds=seconds,
        )
        return self.found.throughput[arm]

    def speedup(self) -> Speedup:
        """Time both arms in turn on equal rounds."""
        if self.found.speedup is None:
            plan = self.spec.throughput
            self.found.speedup = measure.paired_speedup(
                self._work(ArmName.BASELINE),
                self._work(ArmName.CANDIDATE),
                rounds=plan.rounds,
                warmup_rounds=plan.warmup_rounds,
                device=self.embedder(ArmName.BASELINE).spec.device,
            )
        return self.found.speedup

    def memory(self, arm: ArmName) -> Memory:
        """Read an arm's peak memory in a process of its own, on one timed round."""
        if arm not in self.found.memory:
            plan = self.spec.arm(arm)
            self.found.memory[arm] = measure.measure_memory(
                self._preparation.loader(plan),
                self.rounds()[0],
                arm=arm,
                tokens_per_batch=plan.tokens_per_batch,
            )
        return self.found.memory[arm]

    def classify(self, dataset: str, arm: ArmName) -> tuple[Classification, ...]:
        """Embed a data set, retrain the classifier on folds by group, and score out of fold.

        Empty where the data set has too few genomes for the folds; the findings keep the reason.
        """
        key = (dataset, arm)
        if key not in self.found.classification and dataset not in self.found.unclassified:
            judged = [each for each in ArmName if each is arm or self.has_learnt_weights(each)]
            embedders = {each: self.embedder(each) for each in judged}
            table = self._preparation.features(self.spec.dataset(dataset), arm, embedders)
            plan = self.spec.classification
            try:
                predictions = judge.cross_validate(
                    table.blocks,
                    table.examples,
                    folds=plan.folds,
                    seeds=plan.seeds,
                    recipe=recipe_named(plan.recipe),
                )
            except judge.TooFewGenomes as error:
                self.found.unclassified[dataset] = str(error)
                return ()
            path = self._predictions_file(dataset, arm)
            path.parent.mkdir(exist_ok=True)
            judge.write_predictions(path, predictions)
            self.found.classification[key] = self.recompute(dataset, arm)
            self._pair(dataset)
        return self.found.classification.get(key, ())

    def _pair(self, dataset: str) -> None:
        """Compare the stored predictions of both arms, once both are there."""
        if all((dataset, arm) in self.found.classification for arm in ArmName):
            arms = (judge.read_predictions(self._predictions_file(dataset, a)) for a in ArmName)
            self.found.endpoints[dataset] = judge.paired_endpoints(
                *arms, dataset=dataset, gates=self.spec.gates
            )

    def recompute(self, dataset: str, arm: ArmName) -> tuple[Classification, ...]:
        """Compute every rate of an arm from its stored predictions alone."""
        path = self._predictions_file(dataset, arm)
        return judge.summarise(
            judge.read_predictions(path),
            arm=arm,
            dataset=dataset,
            file=path.relative_to(self.folder).as_posix(),
            sha256=provenance.sha256(path),
        )

    def steps(self) -> Iterator[tuple[str, Callable[[], object]]]:
        """Yield every step of a whole run with its name, in an order that fails early."""
        for arm in ArmName:
            yield f"widths of the {arm}", partial(self.widths, arm)
            yield f"parity of the {arm}", partial(self.parity, arm)
        for arm in ArmName:
            timer = partial(_wall_clock, self.embedder(arm).spec.device)
            yield (
                f"throughput of the {arm}",
                partial(self.throughput, arm, timer, timer_name="wall clock"),
            )
        yield "paired speed-up", self.speedup
        for arm in ArmName:
            yield f"memory of the {arm}", partial(self.memory, arm)
        for dataset in self.spec.datasets:
            for arm in ArmName:
                if self.has_learnt_weights(arm):
                    yield (
                        f"classification of {dataset.name} by the {arm}",
                        partial(self.classify, dataset.name, arm),
                    )

    def conclude(self) -> Comparison:
        """Judge what was measured and write JSON, CSV and the report."""
        comparison = self.found.compare(
            run=self.folder.name,
            spec=self.spec,
            provenance=provenance.collect(self._command, self._input_files(), self._started),
            arms={arm.value: embedder.spec for arm, embedder in sorted(self._embedders.items())},
            extraction=self._preparation.extractions,
        )
        write_comparison(comparison, self.folder)
        report.write_tables(comparison, self.folder)
        return comparison

    def _work(self, arm: ArmName) -> Callable[[int], object]:
        """Return a call that embeds one round and waits for the device."""
        embedder = self.embedder(arm)
        rounds = self.rounds()
        tokens_per_batch = self.spec.arm(arm).tokens_per_batch

        def work(number: int) -> object:
            # The result is on the CPU, so the device has finished when this returns.
            return embedder.embed(rounds[number % len(rounds)], tokens_per_batch=tokens_per_batch)

        return work

    def _predictions_file(self, dataset: str, arm: ArmName) -> Path:
        return self.folder / "predictions" / f"{dataset}-{arm}.csv"

    def _input_files(self) -> tuple[Path, ...]:
        files = [self._spec_file]
        for dataset in self.spec.datasets:
            files += [dataset.proteins, dataset.labels]
            files += [dataset.nucleotides] if dataset.nucleotides else []
        return tuple(files)


def _wall_clock(
    device: str, work: Callable[[int], object], rounds: int, warmup_rounds: int
) -> list[float]:
    return measure.time_rounds(work, rounds=rounds, warmup_rounds=warmup_rounds, device=device)
