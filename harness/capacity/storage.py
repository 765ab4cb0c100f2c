"""What vectors take on the disk: counted by the code that writes them, on shards of zeros."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache

import torch

from harness.features import DEFAULT_SHARD_SIZE, Format, Kind, Shard
from harness.features.original_form import write_original
from harness.features.safetensors_form import write_safetensors

_FLOAT_BYTES = 9
"""A Python float in a pickle: one byte that says so, and a double."""
_BLOCK = 64
"""What a .pt archive is padded to: so many more columns shift nothing in it."""
_LONGEST_LIST = 1000
"""A longer list is pickled in pieces."""


@dataclass(frozen=True, slots=True)
class Storage:
    """Bytes of one arm's shards; ``dna`` and ``merged`` are None without a DNA half.

    Manifests, journals and lists of rejects, some hundred bytes a shard, are not counted.
    """

    protein_bytes: int
    dna_bytes: int | None
    merged_bytes: int | None

    @property
    def total_bytes(self) -> int:
        """All together; the DNA half is the same for both arms."""
        return self.protein_bytes + (self.dna_bytes or 0) + (self.merged_bytes or 0)


def storage_of(
    sequences: int,
    width: int,
    dna_width: int | None,
    *,
    id_bytes: int,
    shard_format: Format = Format.PT,
    shard_size: int = DEFAULT_SHARD_SIZE,
) -> Storage:
    """Return what so many sequences take, unlabelled, with ids of one length.

    Exact to the byte: sizes do not depend on the values.
    """

    def count(kind: Kind, columns: int) -> int:
        full, rest = divmod(sequences, shard_size)
        whole = full * shard_bytes(kind, shard_size, columns, id_bytes, shard_format) if full else 0
        return whole + (shard_bytes(kind, rest, columns, id_bytes, shard_format) if rest else 0)

    return Storage(
        protein_bytes=count(Kind.PROTEIN, width),
        dna_bytes=None if dna_width is None else count(Kind.NUCLEOTIDE, dna_width),
        merged_bytes=None if dna_width is None else count(Kind.MERGED, dna_width + width),
    )


@lru_cache
def shard_bytes(kind: Kind, rows: int, width: int, id_bytes: int, shard_format: Format) -> int:
    """Return the size of one shard's file.

    Parameters
    ----------
    id_bytes
        Length of every id; no less than it takes to number the rows.
    """
    listed = kind is Kind.NUCLEOTIDE and shard_format is Format.PT
    if listed and 2 * _BLOCK <= width <= _LONGEST_LIST:
        # millions of Python floats would be made for nothing
        narrow = _BLOCK + width % _BLOCK
        more = _FLOAT_BYTES * rows * (width - narrow)
        return shard_bytes(kind, rows, narrow, id_bytes, shard_format) + more
    ids = tuple(f"{row:0{id_bytes}d}" for row in range(rows))
    write = write_original if shard_format is Format.PT else write_safetensors
    sink = _Sink()
    write(sink, Shard(kind, ids, torch.zeros(rows, width)))  # type: ignore[arg-type]
    return sink.count


class _Sink(io.RawIOBase):
    """A file that counts what is written to it."""

    count = 0

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        size = memoryview(data).nbytes  # type: ignore[arg-type]
        self.count += size
        return size
