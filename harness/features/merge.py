"""Join DNA and protein vectors by id: DNA first, protein second."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from embedders.errors import InputError
from harness.features.errors import FolderError, MergeError, list_ids
from harness.features.folders import EmbeddingFolder, open_folder
from harness.features.manifest import Manifest, Source, library_versions
from harness.features.rejects import REJECTS_FILE, Reject, read_rejects
from harness.features.scratch import Scratch, open_scratch
from harness.features.shard_files import Format
from harness.features.shards import DEFAULT_SHARD_SIZE, Kind, Shard
from harness.features.store import check_store, open_store
from harness.files import make_folder

Rows = tuple[tuple[str, ...], torch.Tensor]


def merge(
    dna: EmbeddingFolder | Path,
    protein: EmbeddingFolder | Path,
    out: Path,
    *,
    label: int | None = None,
    shard_size: int = DEFAULT_SHARD_SIZE,
    shard_format: Format | str = Format.PT,
    without: Sequence[Reject] = (),
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
        Missing, empty, or begun by an equal merge, which is then completed.
    label
        1 (viral) or 0 (host) for every row, None for rows to be predicted.
    shard_size
        Rows per merged shard, at least 1.
    shard_format
        ``pt`` (the original pipeline's) or ``safetensors``.
    without
        More records to leave out and list, e.g. what the embedder of the other arm rejected.

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
        If ``out`` holds anything else, another writer has it, or it cannot be written to.
    """
    _check_options(label, shard_size)
    left, right = _opened(dna), _opened(protein)
    for side, kind, place in ((left, Kind.NUCLEOTIDE, "first"), (right, Kind.PROTEIN, "second")):
        if side.kind is not kind:
            raise MergeError(
                f"{side.path}: holds {side.kind} vectors, but the {place} side of a merge is "
                f"{kind}; give the DNA folder first and the protein folder second"
            )
    check_store(out)
    make_folder(out)
    with open_scratch(out, left.width) as scratch:
        row_of: dict[str, int] = {}
        repeated: dict[str, None] = {}
        for block in left.blocks():
            for each in block.ids:
                if each in row_of:
                    repeated[each] = None
                row_of[each] = len(row_of)
            scratch.append(block.matrix)
        if repeated:
            raise MergeError(f"{left.path}: ids that come more than once, {list_ids(repeated)}")
        if not row_of:
            raise MergeError(f"{left.path}: holds no vectors; there is nothing to merge")
        rejects = (*_rejects(left), *_rejects(right), *without)
        left_out = {reject.id for reject in rejects}
        paired = _check_pairing(left, right, row_of, left_out)
        joined = (
            _joined(block, scratch, row_of, left_out)
            for block in right.blocks(verify=False)  # verified while the ids were compared
        )
        sources = (left.source(len(row_of)), right.source(paired), *_besides(without))
        plan = _plan((left, right), sources, label, shard_size, Format(shard_format))
        return _write(out, plan, joined, rejects)


def repack(
    folder: EmbeddingFolder | Path,
    out: Path,
    *,
    label: int | None = None,
    shard_size: int = DEFAULT_SHARD_SIZE,
    shard_format: Format | str = Format.PT,
    without: Sequence[Reject] = (),
) -> EmbeddingFolder:
    """Write one folder alone in the merged form, for a classifier on proteins (or DNA) only.

    Parameters, result and errors are those of :func:`merge`.
    """
    _check_options(label, shard_size)
    only = _opened(folder)
    count = len(only.ids())  # an id that comes twice is refused before anything is written
    check_store(out)
    left_out = {reject.id for reject in without}
    rows = (_kept(block, left_out) for block in only.blocks(verify=False))
    sources = (only.source(count), *_besides(without))
    plan = _plan((only,), sources, label, shard_size, Format(shard_format))
    return _write(out, plan, rows, (*_rejects(only), *without))


def _check_options(label: int | None, shard_size: int) -> None:
    if label not in (None, 0, 1):
        raise InputError(f"label must be 0 (host), 1 (viral) or None, not {label!r}")
    if shard_size < 1:
        raise InputError(f"shard_size must be at least 1, not {shard_size}")


def _opened(side: EmbeddingFolder | Path) -> EmbeddingFolder:
    return open_folder(side) if isinstance(side, Path) else side


def _rejects(side: EmbeddingFolder) -> tuple[Reject, ...]:
    """Return what a folder of ours left out; files of the original pipeline tell of nothing."""
    if side.manifest is None:
        return ()
    rejects = read_rejects(side.path)
    promised = side.manifest.totals["rejected"]
    if len(rejects) != promised:
        raise FolderError(
            f"{side.path / REJECTS_FILE}: lists {len(rejects)} records, but the manifest counts "
            f"{promised}; run the command that wrote the folder again, it makes the list anew"
        )
    return rejects


def _besides(without: Sequence[Reject]) -> tuple[Source, ...]:
    """Make what is left out besides a part of what the folder was made from."""
    if not without:
        return ()
    names = "".join(f"{each.id}\n" for each in without)
    digest = hashlib.sha256(names.encode("utf-8")).hexdigest()
    return (Source("left out besides", digest, len(without)),)


def _kept(block: Shard, left_out: set[str]) -> Rows:
    if left_out.isdisjoint(block.ids):
        return block.ids, block.matrix
    kept = [number for number, each in enumerate(block.ids) if each not in left_out]
    return tuple(block.ids[number] for number in kept), block.matrix[kept]


def _joined(block: Shard, scratch: Scratch, row_of: dict[str, int], left_out: set[str]) -> Rows:
    ids, protein = _kept(block, left_out)
    rows = np.fromiter((row_of[each] for each in ids), np.int64, len(ids))
    return ids, torch.cat((scratch.take(rows), protein), 1)


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


def _plan(
    sides: tuple[EmbeddingFolder, ...],
    sources: tuple[Source, ...],
    label: int | None,
    shard_size: int,
    shard_format: Format,
) -> Manifest:
    return Manifest(
        kind=Kind.MERGED,
        width=sum(side.width for side in sides),
        parts=tuple(part for side in sides for part in side.parts),
        embedder=None,
        sources=sources,
        shard_size=shard_size,
        format=shard_format,
        label=label,
        versions=library_versions(),
    )


def _write(
    out: Path, plan: Manifest, rows: Iterable[Rows], rejects: Sequence[Reject]
) -> EmbeddingFolder:
    """Write rows in shards, and behind them one window of nothing but what both sides left out."""
    with open_store(out, plan) as store:
        if not store.manifest.complete:
            count = 0
            for number, (ids, matrix) in enumerate(_resized(rows, plan.shard_size)):
                count = number + 1
                if not store.has(number):
                    labels = _labels(plan.label, len(ids))
                    store.add(number, shard=Shard(Kind.MERGED, ids, matrix, labels))
            unique = tuple({reject.id: reject for reject in rejects}.values())
            if unique and not store.has(count):
                store.add(count, shard=None, rejects=unique)
        store.finish()
    return open_folder(out)


def _labels(label: int | None, rows: int) -> NDArray[np.int64] | None:
    return None if label is None else np.full(rows, label, dtype=np.int64)


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
