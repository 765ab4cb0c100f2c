"""Runs a choice: one baseline, and each candidate once, as migrations beside each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from harness import provenance, report
from harness.choice.naming import CANDIDATES, choice_of
from harness.choice.records import Choice, write_choice
from harness.choice.spec import ChoiceSpec, read_choice_spec
from harness.choice.tables import write_page
from harness.files import make_folder
from harness.migration import Migration
from harness.results import write_comparison
from harness.spec import ArmName

Step = tuple[str, Callable[[], object]]
"""What is done, and what does it."""


class Selection:
    """One run of one choice in a folder of its own.

    Each candidate has a migration in ``candidates/<name>``. The first one's baseline serves all of
    them: it is embedded, measured and retrained once, on the rows that no candidate rejects. One
    candidate's model is in memory at a time, beside the baseline's.
    """

    def __init__(
        self,
        spec: ChoiceSpec,
        folder: Path,
        *,
        spec_file: Path,
        command: str,
        progress: bool = False,
    ) -> None:
        self.spec = spec
        self.folder = folder
        self._started = datetime.now(UTC)
        self._command = command
        self._migrations: dict[str, Migration] = {}
        for candidate in spec.candidates:
            self._migrations[candidate.name] = Migration(
                spec.migration(candidate),
                folder / CANDIDATES / candidate.name,
                spec_file=spec_file,
                command=command,
                progress=progress,
                first=next(iter(self._migrations.values()), None),
            )
        for migration in self._migrations.values():  # once none is refused
            make_folder(migration.folder)

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
    ) -> Selection:
        """Read a choice file and make the run's own folder below ``results``.

        Raises
        ------
        InputError
            If the file cannot be used, the folder cannot be made, or the weights of an arm were
            fine-tuned on proteins of a data set.
        """
        spec = read_choice_spec(spec_file).with_overrides(
            weights=weights, device=device, layers=layers
        )
        with report.new_run_folder(results, spec.name) as folder:
            return cls(spec, folder, spec_file=spec_file, command=command, progress=progress)

    def steps(self) -> Iterator[Step]:
        """Yield every step with its name: first all that is measured and embedded, then learning.

        No classifier is trained before every candidate has embedded the data: what one of them
        rejects is left out of all.
        """
        for name, migration in self._migrations.items():
            yield f"{name}: what is known of the baseline", partial(self._turn_to, name)
            for step in (migration.measuring, migration.embedding):
                yield from ((f"{name}: {what}", work) for what, work in step())
        for name, migration in self._migrations.items():
            yield f"{name}: predictions of the baseline", partial(self._turn_to, name)
            yield from ((f"{name}: {what}", work) for what, work in migration.classifying())

    def conclude(self) -> Choice:
        """Judge all candidates together, and write the choice and each comparison."""
        comparisons = {name: each.compare() for name, each in self._migrations.items()}
        inputs = next(iter(self._migrations.values())).input_files()
        judged = choice_of(
            self.spec,
            comparisons,
            self.folder,
            provenance=provenance.collect(self._command, inputs, self._started),
        )
        for name, comparison in judged.comparisons.items():
            write_comparison(comparison, self._migrations[name].folder)
            report.write_tables(comparison, self._migrations[name].folder)
        write_choice(judged.choice, self.folder)
        write_page(judged.choice, self.folder)
        return judged.choice

    def _turn_to(self, name: str) -> None:
        """Let go of every other candidate's model, and take over what is known of the baseline."""
        for other, migration in self._migrations.items():
            if other != name:
                migration.arms.release(ArmName.CANDIDATE)
        self._migrations[name].adopt_baseline()
