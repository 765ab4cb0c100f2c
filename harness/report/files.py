"""Where a run's files lie, and the words that say so."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from embedders.errors import InputError
from harness.files import write_text_atomically
from harness.report.conventions import SUMMARY_BYTES, fitting_summary, write_conventions
from harness.report.escapes import printable
from harness.report.html import html_page
from harness.report.page import markdown
from harness.report.tables import ROUNDING_NOTE, comparison_table, gate_table, to_csv, verdict_line
from harness.results import COMPARISON_FILE, Comparison

CSV_FILE = "comparison.csv"
REPORT_FILE = "report.md"
PAGE_FILE = "report.html"
BENCHMARK_FILE = "benchmark.json"


def new_folder(parent: Path, name: str) -> Path:
    """Make a folder that did not exist before, numbered if the name is taken; return it.

    Raises
    ------
    InputError
        If it cannot be made; the message names the folder.
    """
    for number in range(1, 1000):
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            if not folder.is_dir():
                raise InputError(f"{folder}: is a file; name another folder") from None
            continue
        except OSError as error:
            raise InputError(
                f"{folder}: cannot be made: {error.strerror}; name a folder you may write to"
            ) from error
        return folder
    raise InputError(f"{parent}: holds a thousand runs called {name}; name another folder")


@contextmanager
def new_run_folder(results: Path, name: str) -> Iterator[Path]:
    """Make a run's own folder, called after it and the time in UTC; see :func:`new_folder`.

    If what is begun in the context is refused before anything is in the folder, it is gone again.
    """
    folder = new_folder(results, f"{name}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    try:
        yield folder
    except BaseException:
        with suppress(OSError):  # where something is in it, it stays
            folder.rmdir()
        raise


def write_tables(comparison: Comparison, folder: Path) -> None:
    """Write CSV, Markdown, HTML and the folder ``ci`` beside ``comparison.json``."""
    write_text_atomically(folder / CSV_FILE, to_csv(comparison))
    write_text_atomically(folder / REPORT_FILE, markdown(comparison))
    write_text_atomically(folder / PAGE_FILE, html_page(comparison))
    write_conventions(comparison, folder)


def terminal_summary(comparison: Comparison, folder: Path) -> str:
    """Return what a person reads at the end of a run: table, gates, verdict, files.

    Text from outside is made printable: no control character of it reaches the terminal.
    """
    names = (COMPARISON_FILE, CSV_FILE, REPORT_FILE, PAGE_FILE, BENCHMARK_FILE)
    files = [folder / name for name in names if (folder / name).exists()]
    return "\n\n".join(
        [
            printable(comparison.spec.title or comparison.spec.name),
            comparison_table(comparison, "simple"),
            gate_table(comparison, "simple"),
            f"Measured on {printable(comparison.provenance.machine.sentence())}. {ROUNDING_NOTE}",
            "\n".join(f"  {printable(str(file))}" for file in files),
            printable(verdict_line(comparison)),
        ]
    )


def write_step_summary(comparison: Comparison) -> None:
    """Append the report to ``$GITHUB_STEP_SUMMARY`` where a CI system has set it.

    It is cut where the whole summary would be too large to be shown at all.
    """
    target = os.environ.get("GITHUB_STEP_SUMMARY")
    if target:
        with Path(target).open("ab") as stream:
            stream.write(fitting_summary(markdown(comparison), SUMMARY_BYTES - stream.tell()))
