"""Real proteins for the tests: those bundled with the demo."""

from __future__ import annotations

import gzip
from itertools import islice
from pathlib import Path

from Bio.SeqIO.FastaIO import SimpleFastaParser

from benchmarks import DEMO

DATA = DEMO.parent / "data"
EVERY = 3_722


def proteins(count: int) -> dict[str, str]:
    """Return the first bundled proteins by id, whole ones before translated frames."""
    found: dict[str, str] = {}
    for name in ("proteins.faa.gz", "contigs.faa.gz"):
        with gzip.open(DATA / name, "rt", encoding="ascii") as stream:
            found.update(
                (title.split()[0], sequence) for title, sequence in SimpleFastaParser(stream)
            )
    if len(found) < count:
        raise ValueError(f"{count} proteins asked for, {len(found)} are bundled")
    return dict(islice(found.items(), count))


def shortest(count: int) -> dict[str, str]:
    """Return the shortest bundled proteins by id, in the order in which they are bundled."""
    whole = proteins(EVERY)
    longest = sorted(map(len, whole.values()))[count - 1]
    return dict(islice(((name, t) for name, t in whole.items() if len(t) <= longest), count))


def write_fasta(path: Path, records: dict[str, str]) -> Path:
    """Write records as FASTA, a line for each sequence; return the path."""
    path.write_text("".join(f">{name}\n{text}\n" for name, text in records.items()), "ascii")
    return path
