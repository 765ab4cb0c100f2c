"""The output folder: whether it can be written to, and has room for the features of a run."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from embedders import CHECKPOINTS, Modality
from harness.doctor.finding import Finding, fine, lacking
from harness.doctor.sizes import size
from harness.features import Kind

FLOAT32_BYTES = 4
PICKLED_FLOAT_BYTES = 9
"""A Python float in a pickle: one byte that says so, and a double."""
ID_BYTES = 32
"""Length of an id that is reckoned with."""

# What a row takes beside its values and its id. In protein files every row is a tensor of its
# own: a member of the ZIP archive (local header, padded to 64 bytes, data descriptor and entry in
# the directory) and the pickled call that rebuilds it. In nucleotide files it is a dictionary and
# the lists' marks; in merged files, whose rows share one tensor, the pickled id's own marks.
_ROW_BYTES = {Kind.PROTEIN: 288, Kind.NUCLEOTIDE: 42, Kind.MERGED: 10}
_VALUE_BYTES = {
    Kind.PROTEIN: FLOAT32_BYTES,
    Kind.NUCLEOTIDE: PICKLED_FLOAT_BYTES,
    Kind.MERGED: FLOAT32_BYTES,
}


@dataclass(frozen=True, slots=True)
class Amount:
    """So many sequences to be embedded and merged.

    ``dna_width`` is 0 for proteins alone; ``dna_embedded`` is False where the DNA half is in files
    that are there already.
    """

    sequences: int
    dna_width: int = 0
    dna_embedded: bool = True


def shard_bytes(kind: Kind, rows: int, width: int, id_bytes: int = ID_BYTES) -> int:
    """Return about what ``rows`` vectors of one kind take on the disk."""
    return rows * (width * _VALUE_BYTES[kind] + _ROW_BYTES[kind] + id_bytes)


def run_bytes(amounts: Sequence[Amount], widths: Sequence[int]) -> int:
    """Return about what the features of one run take on the disk at most.

    Per arm the protein shards and the merged ones, the DNA shards once, and while a merge runs
    the DNA vectors once more, in its scratch file.

    Parameters
    ----------
    widths
        The protein width of each arm.
    """
    whole = 0
    for amount in amounts:
        rows, dna = amount.sequences, amount.dna_width
        for width in widths:
            whole += shard_bytes(Kind.PROTEIN, rows, width)
            whole += shard_bytes(Kind.MERGED, rows, dna + width)
        if dna:
            whole += rows * dna * FLOAT32_BYTES
            whole += shard_bytes(Kind.NUCLEOTIDE, rows, dna) if amount.dna_embedded else 0
    return whole


def widest() -> tuple[int, int]:
    """Return the widths of the widest protein and of the widest DNA embedder there is."""
    protein, dna = (
        max(row.width for row in CHECKPOINTS.values() if row.modality is modality)
        for modality in (Modality.PROTEIN, Modality.NUCLEOTIDE)
    )
    return protein, dna


def nearest_existing(path: Path) -> Path:
    """Return the path itself, or the nearest folder above it that exists."""
    whole = path.absolute()
    return next(each for each in (whole, *whole.parents) if each.exists())


def examine_output(folder: Path) -> Finding:
    """Say whether a file can be made in the output folder, or where it is to be made.

    A file is created, flushed to the disk and removed; nothing of it stays.
    """
    existing = nearest_existing(folder)
    details = {"folder": str(folder), "tried": str(existing)}
    try:
        _write_and_remove(existing)
    except OSError as error:
        return lacking(
            "output folder",
            f"{folder}: nothing can be written into {existing} ({error.strerror or error})",
            "choose another with -o",
            needed=True,
            details=details,
        )
    made = "" if existing == folder.absolute() else ", which is still to be made"
    return fine("output folder", f"{folder}{made}: can be written to", needed=True, details=details)


def examine_room(
    free: int, amounts: Sequence[Amount], widths: Sequence[int], *, assumed: bool
) -> Finding:
    """Say whether the output folder's disk has room for a run's features.

    Parameters
    ----------
    free
        Bytes that are free on it.
    amounts, widths
        See :func:`run_bytes`.
    assumed
        Whether the widths are the widest there are, because no migration file names others.
    """
    needed = run_bytes(amounts, widths)
    sequences = sum(amount.sequences for amount in amounts)
    wide = (
        "at most, by the widest embedders" if assumed else f"{' and '.join(map(str, widths))} wide"
    )
    found = (
        f"{size(free)} free; the features of {sequences:,} sequences take about {size(needed)}, "
        f"merged copies included ({wide})"
    )
    details = {"free_bytes": free, "needed_bytes": needed, "sequences": sequences}
    if needed < free:
        return fine("free disk", found, needed=True, details=details)
    remedy = f"free {size(needed - free)}, or choose a folder on another disk with -o"
    return lacking("free disk", found, remedy, needed=True, details=details)


def free_bytes(folder: Path) -> int:
    """Return what is free on the disk that holds, or would hold, a folder."""
    return shutil.disk_usage(nearest_existing(folder)).free


def _write_and_remove(folder: Path) -> None:
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-") as file:
        file.write(b"\0")
        file.flush()
        os.fsync(file.fileno())
