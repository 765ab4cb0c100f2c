"""What each command does with its options; every function returns the exit code."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path

from embedders import broken_plugins
from embedders import list_embedders as embedder_rows
from harness import choice, judge, report
from harness import doctor as examination
from harness.migration import Migration
from harness.progress import announced, bars_wanted
from harness.recomputation import missing_tables, verify
from harness.results import EXIT_CODES, Comparison, read_comparison, to_json
from harness.spec import ArmName


def list_embedders(options: argparse.Namespace) -> int:
    """Print the table of embedders; say on standard error which ones of others cannot be used."""
    rows = embedder_rows()
    for broken in broken_plugins():
        print(f"note: {report.printable(broken.reason)}", file=sys.stderr)
    if options.json:
        print(json.dumps(rows, indent=1))
        return 0
    columns = ("name", "modality", "width", "layers", "heads", "parameters", "runtimes", "licence")
    print(report.plain_table([[_cell(row[name]) for name in columns] for row in rows], columns))
    return 0


def doctor(options: argparse.Namespace) -> int:
    """Print what works here; exit 1 if something that is needed is missing."""
    found = examination.examine(options.spec, output=options.output, sequences=options.sequences)
    print(json.dumps(found.document(), indent=1) if options.json else examination.screen(found))
    return 0 if found.ok else 1


def migrate(options: argparse.Namespace) -> int:
    """Run a whole comparison; the verdict is the exit code."""
    migration = Migration.prepare(
        options.spec,
        results=options.output,
        command=shlex.join(["harness", *sys.argv[1:]]),
        weights=options.weights,
        device=options.device,
        layers=options.layers,
        progress=bars_wanted(),
    )
    for _, step in announced(migration.steps()):
        step()
    comparison = migration.conclude()
    print(report.terminal_summary(comparison, migration.folder))
    report.write_step_summary(comparison)
    return EXIT_CODES[comparison.verdict.decision]


def report_run(options: argparse.Namespace) -> int:
    """Compute a stored run again from its predictions, and make its tables and report anew."""
    if choice.is_choice(options.run_dir):
        return _report_choice(options.run_dir)
    comparison = read_comparison(options.run_dir)
    verify(comparison, options.run_dir)
    missing = missing_tables(comparison, options.run_dir)
    if missing:
        print(
            f"note: rates were not computed again: {', '.join(missing)} not in {options.run_dir}",
            file=sys.stderr,
        )
    report.write_tables(comparison, options.run_dir)
    print(report.terminal_summary(comparison, options.run_dir))
    return 0


def _report_choice(folder: Path) -> int:
    """Compute a stored choice again, and make the pages of it and of its candidates anew."""
    found = choice.read_choice(folder)
    missing = choice.missing_tables(found, folder)
    if missing:
        print(
            f"note: the choice was not computed again: {', '.join(missing)} not in {folder}",
            file=sys.stderr,
        )
    else:
        choice.verify(found, folder)
    for each, comparison in choice.comparisons_of(found, folder).items():
        report.write_tables(comparison, folder / choice.CANDIDATES / each)
    choice.write_page(found, folder)
    print(choice.screen(found, folder))
    return 0


def check(options: argparse.Namespace) -> int:
    """Compare the candidate of a stored run with the candidate of an earlier one."""
    folders = (options.current, options.baseline)
    current, earlier = map(read_comparison, folders)
    gates = judge.regression_gates(
        current, earlier, predictions=folders, tolerance=options.tolerance
    )
    verdict = judge.decide(gates)
    compared = f"candidate of {_candidate(current)} against candidate of {_candidate(earlier)}"
    if options.json:
        document = {"compared": compared, "gates": gates, "verdict": verdict}
        print(to_json(document), end="")
    else:
        print(report.printable(f"{compared}; figures read earlier → current"))
        print(report.gates_as_table(gates, "simple"))
        print(report.printable(f"{verdict.decision} - {verdict.reason}"))
    return EXIT_CODES[verdict.decision]


def _candidate(run: Comparison) -> str:
    spec = run.arms.get(ArmName.CANDIDATE)
    loaded = "not loaded" if spec is None else f"{spec.name}, {spec.runtime}, {spec.dtype}"
    return f"{run.run} ({loaded})"


def _cell(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else "" if value is None else str(value)
