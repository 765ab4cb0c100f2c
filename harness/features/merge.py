"""Join DNA and protein vectors by id: DNA first, protein second."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from embedders.errors import InputError
from harness.features.errors import MergeError, list_ids
from harness.features.folders import (
    EmbeddingFolder,
    add_shard,
    begin_folder,
    claim_folder,
    open_folder,
)
from harness.features.manifest import Manifest, Source, library_versions, write_manifest
from harness.features.rejects import Reject, read_rejects, write_rejects
from harness.features.shards import DEFAULT_SHARD_SIZE, Kind, Shard

Rows = tuple[tuple[str, ...], torch.Tensor]


def merge(
    dna: EmbeddingFolder | Path,
    protein: EmbeddingFolder | Path,
    out: Path,
    *,
    label: int | None = None,
    shard_size: int = DEFAULT_SHARD_SIZE,
) -> EmbeddingFolder:
    """Write one row per id, its DNA vector and then its protein vector, in the protein's order.

    Every id must stand exactly once on either side, but for records that a side lists in its
    ``rejects.csv``: these have no row, and are listed in ``out``'s. DNA vectors are copied once
    into an unnamed file on ``out``'s disk, from which rows are taken in any order; memory holds
    one shard of either side and the ids.

    Parameters
    ----------
    dna, protein
        Opened folders, or paths of folders or single original files.
    out
        Missing or empty.
    label
        1 (viral) or 0 (host) for every row, None for rows to be predicted.
    shard_size
        Rows per merged shard, at least 1.

    Returns
    -------
    EmbeddingFolder
        ``out``, opened.

    Raises
    ------
    MergeError
        If a side is of the wrong kind, or an id is missing or repeated on either side; no shard
        has been written then.
    FolderError
        If ``out`` holds anything.
    """
    _check_options(label, shard_size)
    left, right = _opened(dna), _opened(protein)
    for side, kind, place in ((left, Kind.NUCLEOTIDE, "first"), (right, Kind.PROTEIN, "second")):
        if side.kind is not kind:
            raise MergeError(
                f"{side.path}: holds {side.kind} vectors, but the {place} side of a merge is "
                f"{kind}; give the DNA folder first and the protein folder second"
            )
    claim_folder(out)
    with tempfile.TemporaryFile(dir=out, prefix=".dna-", suffix=".partial") as scratch:
        row_of: dict[str, int] = {}
        repeated: dict[str, None] = {}
        for block in left.blocks():
            for each in block.ids:
                if each in row_of:
                    repeated[each] = None
                row_of[each] = len(row_of)
            block.matrix.numpy().tofile(scratch)
        scratch.flush()
        if repeated:
            raise MergeError(f"{left.path}: ids that come more than once, {list_ids(repeated)}")
        if not row_of:
            raise MergeError(f"{left.path}: holds no vectors; there is nothing to merge")
        rejects = (*_rejects(left), *_rejects(right))
        left_out = {reject.id for reject in rejects}
        paired = _check_pairing(left, right, row_of, left_out)
        rows: NDArray[np.float32] = np.memmap(
            scratch, dtype=np.float32, mode="r", shape=(len(row_of), left.width)
        )
        joined = (
            _joined(block, rows, row_of)
            for block in right.blocks(verify=False)  # verified while the ids were compared
        )
        sources = (left.source(len(row_of)), right.source(paired))
        return _write(out, joined, (left, right), sources, rejects, label, shard_size)


def repack(
    folder: EmbeddingFolder | Path,
    out: Path,
    *,
    label: int | None = None,
    shard_size: int = DEFAULT_SHARD_SIZE,
) -> EmbeddingFolder:
    """Write one folder alone in the merged form, for a classifier on proteins (or DNA) only.

    Parameters, result and errors are those of :func:`merge`.
    """
    _check_options(label, shard_size)
    only = _opened(folder)
    count = len(only.ids())  # an id that comes twice is refused before anything is written
    claim_folder(out)
    rows = ((block.ids, block.matrix) for block in only.blocks(verify=False))
    sources = (only.source(count),)
    return _write(out, rows, (only,), sources, _rejects(only), label, shard_size)


def _check_options(label: int | None, shard_size: int) -> None:
    if label not in (None, 0, 1):
        raise InputError(f"label must be 0 (host), 1 (viral) or None, not {label!r}")
    if shard_size < 1:
        raise InputError(f"shard_size must be at least 1, not {shard_size}")


def _opened(side: EmbeddingFolder | Path) -> EmbeddingFolder:
    return open_folder(side) if isinstance(side, Path) else side


def _rejects(side: EmbeddingFolder) -> tuple[Reject, ...]:
    """Return what a folder of ours left out; files of the original pipeline tell of nothing."""
    return () if side.manifest is None else read_rejects(side.path)


def _joined(block: Shard, rows: NDArray[np.float32], row_of: dict[str, int]) -> Rows:
    kept = [number for number, each in enumerate(block.ids) if each in row_of]
    ids = tuple(block.ids[number] for number in kept)
    dna = torch.from_numpy(rows[[row_of[each] for each in ids]])
    return ids, torch.cat((dna, block.matrix[kept]), 1)


def _check_pairing(
    left: EmbeddingFolder, right: EmbeddingFolder, row_of: dict[str, int], left_out: set[str]
) -> int:
    """Compare the ids of both sides; return the number of rows on the right."""
    count = 0
    paired = bytearray(len(row_of))
    unknown: dict[str, None] = {}
    repeated: dict[str, None] = {}
    seen_unknown: set[str] = set()
    for block in right.blocks():
        count += len(block.ids)
        for each in block.ids:
            row = row_of.get(each)
            if row is None and each in left_out:
                continue
            if row is None:
                (repeated if each in seen_unknown else unknown)[each] = None
                seen_unknown.add(each)
            elif paired[row]:
                repeated[each] = None
            else:
                paired[row] = 1
    missing = [each for each, row in row_of.items() if not paired[row] and each not in left_out]
    problems = []
    if repeated:
        problems.append(f"{right.path}: ids that come more than once, {list_ids(repeated)}")
    if unknown:
        problems.append(
            f"{left.path}: ids of the protein side that are missing, {list_ids(unknown)}"
        )
    if missing:
        problems.append(f"{right.path}: ids of the DNA side that are missing, {list_ids(missing)}")
    if problems:
        raise MergeError(
            "; ".join(problems) + "; embed the same records on both sides (rejects.csv lists those "
            "left out)"
        )
    return count


def _write(
    out: Path,
    rows: Iterable[Rows],
    sides: tuple[EmbeddingFolder, ...],
    sources: tuple[Source, ...],
    rejects: Sequence[Reject],
    label: int | None,
    shard_size: int,
) -> EmbeddingFolder:
    manifest = Manifest(
        kind=Kind.MERGED,
        width=sum(side.width for side in sides),
        parts=tuple(part for side in sides for part in side.parts),
        embedder=None,
        sources=sources,
        shard_size=shard_size,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        label=label,
        versions=library_versions(),
    )
    begin_folder(out, manifest)
    for number, (ids, matrix) in enumerate(_resized(rows, shard_size)):
        labels = None if label is None else np.full(len(ids), label, dtype=np.int64)
        entry = add_shard(out, number, Shard(Kind.MERGED, ids, matrix, labels))
        written = manifest.embedded + entry.rows
        manifest = replace(
            manifest, shards=(*manifest.shards, entry), records=written, embedded=written
        )
        write_manifest(out, manifest)
    unique = {reject.id: reject for reject in rejects}
    write_rejects(out, tuple(unique.values()))
    whole = manifest.embedded + len(unique)
    write_manifest(out, replace(manifest, records=whole, rejected=len(unique), complete=True))
    return open_folder(out)


def _resized(blocks: Iterable[Rows], size: int) -> Iterator[Rows]:
    """Cut and join blocks into blocks of ``size`` rows, the last one perhaps shorter."""
    ids: list[str] = []
    parts: list[torch.Tensor] = []
    for block_ids, matrix in blocks:
        start = 0
        while start < len(block_ids):
            stop = start + size - len(ids)
            ids.extend(block_ids[start:stop])
            parts.append(matrix[start:stop])
            start = stop
            if len(ids) == size:
                yield tuple(ids), torch.cat(parts)
                ids, parts = [], []
    if ids:
        yield tuple(ids), torch.cat(parts)
