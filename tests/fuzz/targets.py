"""What foreign bytes go into, and the one error that may come out of each.

Used by hypothesis in the tests and by atheris for longer campaigns (``tox run -e fuzz``).
"""

from __future__ import annotations

import gzip
import io
import json
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from harness.features import (
    FastaError,
    FolderError,
    Format,
    Kind,
    Manifest,
    ManifestError,
    Shard,
    ShardCorrupt,
    part_of,
    read_fasta,
    read_manifest,
    read_rejects,
    read_shard,
    survey_fasta,
)
from harness.features.manifest import Budget, FileEntry, Source, Window, write_manifest
from harness.features.rejects import Reject, write_rejects
from harness.features.shard_files import write_shard
from tests.harness.features.broken_embedders import SPEC

_DIRECTORY = b"PK\x01\x02"  # starts each entry of an archive's directory


@dataclass(frozen=True, slots=True)
class Target:
    """A reader of one kind of file: its name there, and files to start from."""

    name: str
    file: str
    read: Callable[[Path], object]
    error: type[Exception]
    seeds: tuple[bytes, ...]

    def __call__(self, data: bytes, folder: Path) -> bool:
        """Read ``data`` as a file in ``folder``; tell whether it was taken.

        Raises
        ------
        BaseException
            Whatever is not the documented error.
        """
        path = folder / self.file
        path.write_bytes(data)
        try:
            self.read(path)
        except self.error:
            return False
        return True


def _fasta(path: Path) -> None:
    survey = survey_fasta(path)
    records = list(read_fasta(path, expected=survey))
    assert len(records) == survey.records
    assert len({record.id for record in records}) == len(records)


FASTA = b">a one\nMKTAY\nIAKQR\n\n>b\nmk*\r\n>c\n"


def _manifest() -> bytes:
    manifest = Manifest(
        kind=Kind.PROTEIN,
        width=3,
        parts=(part_of(SPEC),),
        embedder=SPEC,
        sources=(Source("in.fa", "1" * 64, 3),),
        shard_size=2,
        windows=(
            Window(0, 2, FileEntry("a.pt", 2, "2" * 64), None, 9, {"blank": 1}),
            Window(1, 1, None, FileEntry("r.csv", 1, "3" * 64)),
        ),
        complete=True,
        budget=Budget(4096, 512),
    )
    with tempfile.TemporaryDirectory() as name:
        write_manifest(Path(name), manifest)
        return (Path(name) / "manifest.json").read_bytes()


def _shard(kind: Kind, form: Format) -> bytes:
    labels = np.array([0, 1]) if kind is Kind.MERGED else None
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / f"s.{form}"
        write_shard(path, Shard(kind, ("a", "b"), torch.ones(2, 3), labels))
        return path.read_bytes()


def _old_pt() -> bytes:
    """A file from before torch 1.6: pickles one after the other, no archive."""
    stream = io.BytesIO()
    content = {"proteins": ["a"], "data": [torch.ones(3)]}
    torch.save(content, stream, _use_new_zipfile_serialization=False)
    return stream.getvalue()


def _rejects() -> bytes:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "rejects.csv"
        write_rejects(path, [Reject("=a", 1, 'no "b", c'), Reject("x", 2, "y")])
        return path.read_bytes()


TARGETS = {
    target.name: target
    for target in (
        Target("fasta", "in.fa", _fasta, FastaError, (FASTA, gzip.compress(FASTA, mtime=0))),
        Target(
            "manifest",
            "manifest.json",
            lambda path: read_manifest(path.parent),
            ManifestError,
            (_manifest(), json.dumps({"schema": "embedding-folder/2"}).encode()),
        ),
        Target(
            "pt",
            "s.pt",
            read_shard,
            ShardCorrupt,
            (*(_shard(kind, Format.PT) for kind in Kind), _old_pt()),
        ),
        Target(
            "safetensors",
            "s.safetensors",
            read_shard,
            ShardCorrupt,
            tuple(_shard(kind, Format.SAFETENSORS) for kind in Kind),
        ),
        Target("rejects", "rejects.csv", read_rejects, FolderError, (_rejects(),)),
    )
}


def repair_zip(data: bytes) -> bytes:
    """Set the checksums in an archive's directory right, so that changed contents are looked at.

    Without this many a change ends at the archive's own check.
    """
    fixed = bytearray(data)
    place = fixed.find(_DIRECTORY)
    while 0 <= place <= len(fixed) - 46:
        size, local = (
            int.from_bytes(fixed[place + at : place + at + 4], "little") for at in (20, 42)
        )
        lengths = (fixed[local + at : local + at + 2] for at in (26, 28))
        start = local + 30 + sum(int.from_bytes(each, "little") for each in lengths)
        checksum = zlib.crc32(fixed[start : start + size])
        fixed[place + 16 : place + 20] = checksum.to_bytes(4, "little")
        place = fixed.find(_DIRECTORY, place + 46)
    return bytes(fixed)
