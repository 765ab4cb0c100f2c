"""``manifest.json``: what a folder of shards holds and where it comes from.

Ids lie in the shards only: for ten million sequences a second list of them would be hundreds of
megabytes, while rows and SHA-256 of each shard are enough to find and to verify them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from cattrs import transform_error
from cattrs.errors import BaseValidationError
from cattrs.preconf.json import JsonConverter, make_converter
from cattrs.v import format_exception

from embedders.contract import EmbedderSpec
from embedders.errors import InputError
from harness.documents import exact_types, read_json
from harness.features.errors import ManifestError
from harness.features.shards import Kind
from harness.files import write_text_atomically

MANIFEST_FILE = "manifest.json"
SCHEMA = "embedding-folder/1"
LIBRARIES = ("torch", "numpy", "biopython")


@dataclass(frozen=True, slots=True)
class Part:
    """Whose vectors stand in ``width`` neighbouring columns: the identity of one embedder.

    Equal parts may go into the same classifier. ``sha256`` covers what is computed (checkpoint,
    weights, truncation, cleaning), not how (runtime, dtype, device); it is None for files that
    came without a manifest, and then ``name`` is what the caller says. ``kind`` is merged for an
    original merged file only: where its two parts meet is not in the file.
    """

    name: str
    kind: Kind
    width: int
    sha256: str | None

    def __post_init__(self) -> None:
        if self.width < 1:
            raise InputError(f"width of part {self.name!r} must be at least 1, not {self.width}")


@dataclass(frozen=True, slots=True)
class ShardEntry:
    """One shard: its file name, rows, and the SHA-256 of its bytes."""

    file: str
    rows: int
    sha256: str

    def __post_init__(self) -> None:
        if Path(self.file).name != self.file or self.file in {"", ".", ".."}:
            raise InputError(f"shard file {self.file!r} must be a plain name inside the folder")
        if self.rows < 1:
            raise InputError(f"shard {self.file!r} must have at least 1 row, not {self.rows}")


@dataclass(frozen=True, slots=True)
class Source:
    """What the vectors were made from: a FASTA file, or an embedding folder on one side of a merge.

    ``sha256`` is that of the file's bytes, or of the folder's shards one after the other.
    """

    name: str
    sha256: str
    records: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything about a folder but the vectors.

    ``complete`` is False until the last shard stands: such a folder is never read as a whole one.
    ``embedder`` is None for merged folders, whose ``parts`` name both sides in column order.
    """

    kind: Kind
    width: int
    parts: tuple[Part, ...]
    embedder: EmbedderSpec | None
    sources: tuple[Source, ...]
    shard_size: int
    created: str
    shards: tuple[ShardEntry, ...] = ()
    records: int = 0
    embedded: int = 0
    rejected: int = 0
    complete: bool = False
    label: int | None = None
    fixes: dict[str, int] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    schema: str = SCHEMA

    def __post_init__(self) -> None:
        if sum(part.width for part in self.parts) != self.width:
            raise InputError(f"parts {[p.width for p in self.parts]} do not sum to {self.width}")
        if self.records != self.embedded + self.rejected:
            raise InputError(
                f"{self.records} records in, but {self.embedded} embedded and "
                f"{self.rejected} rejected"
            )
        if sum(shard.rows for shard in self.shards) != self.embedded:
            raise InputError(f"the shards' rows do not sum to {self.embedded} embedded records")
        names = [shard.file for shard in self.shards]
        if len(set(names)) != len(names):
            raise InputError("a shard is listed twice")

    @property
    def content_sha256(self) -> str:
        """SHA-256 over the shards' own, in order: two folders with it equal hold the same."""
        return chain_sha256(shard.sha256 for shard in self.shards)


def part_of(spec: EmbedderSpec) -> Part:
    """Return the identity of an embedder, as :class:`Part` describes it."""
    what = {
        "name": spec.name,
        "modality": str(spec.modality),
        "width": spec.width,
        "weights": spec.weights.sha256,
        "truncation": str(spec.truncation),
        "window_residues": spec.window_residues,
        "cleaning_policy": spec.cleaning_policy,
    }
    text = json.dumps(what, sort_keys=True, ensure_ascii=False)
    return Part(
        spec.name,
        Kind(spec.modality.value),
        spec.width,
        hashlib.sha256(text.encode("utf-8")).hexdigest(),
    )


def chain_sha256(digests: Iterable[str]) -> str:
    """Return the SHA-256 of hexadecimal digests, one per line."""
    return hashlib.sha256("".join(f"{each}\n" for each in digests).encode("ascii")).hexdigest()


def library_versions() -> dict[str, str]:
    """Return the versions of what reads and writes these files."""
    return {name: metadata.version(name) for name in LIBRARIES}


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write ``manifest.json``, whole or not at all, as strict JSON."""
    document = _converter().unstructure(manifest)
    text = json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False)
    write_text_atomically(folder / MANIFEST_FILE, text + "\n")


def read_manifest(folder: Path) -> Manifest:
    """Read ``manifest.json``.

    Raises
    ------
    ManifestError
        If it is missing, no strict JSON, of another schema, or contradicts itself.
    """
    path = folder / MANIFEST_FILE
    document = read_json(path, schema=SCHEMA, error=ManifestError, remedy="make the folder again")
    try:
        return _converter().structure(document, Manifest)
    except BaseValidationError as error:
        problems = "; ".join(transform_error(error, format_exception=_sentence))
        raise ManifestError(f"{path}: {problems}; make the folder again") from error


def _sentence(error: BaseException, kind: type | None) -> str:
    return str(error) if isinstance(error, ValueError) else format_exception(error, kind)


def _converter() -> JsonConverter:
    converter = make_converter(forbid_extra_keys=True)
    exact_types(converter)
    return converter
