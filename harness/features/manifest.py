"""``manifest.json``: what a folder of shards holds and where it comes from.

Ids lie in the shards only: for ten million sequences a second list of them would be hundreds of
megabytes, while rows and SHA-256 of each shard are enough to find and to verify them.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
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
from harness.features.shard_files import Format
from harness.features.shards import Kind
from harness.files import write_text_atomically

MANIFEST_FILE = "manifest.json"
SCHEMA = "embedding-folder/2"
LIBRARIES = ("torch", "numpy", "safetensors")
_DERIVED = ("fingerprint", "totals")
_REMEDY = "embed (or merge) into another folder, or delete this one and make it again"


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
class FileEntry:
    """One file of the folder: its name, the rows in it, and the SHA-256 of its bytes."""

    file: str
    rows: int
    sha256: str

    def __post_init__(self) -> None:
        if Path(self.file).name != self.file or self.file in {"", ".", ".."}:
            raise InputError(f"file {self.file!r} must be a plain name inside the folder")
        if self.rows < 1:
            raise InputError(f"file {self.file!r} must have at least 1 row, not {self.rows}")


@dataclass(frozen=True, slots=True)
class Window:
    """What became of one run of neighbouring records: a shard, rejects, or both.

    ``number`` counts windows of the input from 0. ``residues`` are those of the shard's records
    after cleaning; ``fixes`` counts the characters that each rule of the cleaning policy touched.
    """

    number: int
    records: int
    shard: FileEntry | None
    rejects: FileEntry | None
    residues: int = 0
    fixes: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.number < 0:
            raise InputError(f"windows are counted from 0, not {self.number}")
        if self.records != self.embedded + self.rejected:
            raise InputError(
                f"window {self.number}: {self.records} records in, but {self.embedded} embedded "
                f"and {self.rejected} rejected"
            )

    @property
    def embedded(self) -> int:
        """Rows of the shard."""
        return 0 if self.shard is None else self.shard.rows

    @property
    def rejected(self) -> int:
        """Rows of the list of rejects."""
        return 0 if self.rejects is None else self.rejects.rows

    @property
    def files(self) -> tuple[FileEntry, ...]:
        """The shard and the list of rejects, as far as there are."""
        return tuple(each for each in (self.shard, self.rejects) if each is not None)


@dataclass(frozen=True, slots=True)
class Source:
    """What the vectors were made from: a FASTA file, or an embedding folder on one side of a merge.

    ``sha256`` is that of the file's bytes, or of the folder's shards one after the other.
    """

    name: str
    sha256: str
    records: int


@dataclass(frozen=True, slots=True)
class Budget:
    """Tokens of one forward pass: the user's wish or what was found, and what memory allowed."""

    asked: int
    in_force: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything about a folder but the vectors.

    The same input, embedder and policies give the same manifest, however often the run was broken
    off; when and where it ran is in the journal. ``complete`` is False until the last window
    stands: such a folder is never read as a whole one. ``embedder`` is None for merged folders,
    whose ``parts`` name both sides in column order; so is ``budget``.
    """

    kind: Kind
    width: int
    parts: tuple[Part, ...]
    embedder: EmbedderSpec | None
    sources: tuple[Source, ...]
    shard_size: int
    format: Format = Format.PT
    windows: tuple[Window, ...] = ()
    complete: bool = False
    label: int | None = None
    budget: Budget | None = None
    versions: dict[str, str] = field(default_factory=dict)
    schema: str = SCHEMA

    def __post_init__(self) -> None:
        if sum(part.width for part in self.parts) != self.width:
            raise InputError(f"parts {[p.width for p in self.parts]} do not sum to {self.width}")
        numbers = [window.number for window in self.windows]
        if numbers != sorted(set(numbers)):
            raise InputError("windows must be in order, each once")
        if self.complete and numbers != list(range(len(numbers))):
            raise InputError(f"said to be complete, but windows are missing among {len(numbers)}")
        names = [entry.file for window in self.windows for entry in window.files]
        if len(set(names)) != len(names):
            raise InputError("a file is listed twice")

    @property
    def shards(self) -> tuple[FileEntry, ...]:
        """The shards in the order of the input."""
        return tuple(each.shard for each in self.windows if each.shard is not None)

    @property
    def totals(self) -> dict[str, int]:
        """Records in, embedded and rejected, and residues, of the windows that stand."""
        return {
            name: sum(getattr(window, name) for window in self.windows)
            for name in ("records", "embedded", "rejected", "residues")
        }

    @property
    def fixes(self) -> Counter[str]:
        """Characters that each rule of the cleaning policy touched."""
        counted: Counter[str] = Counter()
        for window in self.windows:
            counted.update(window.fixes)
        return counted

    @property
    def content_sha256(self) -> str:
        """SHA-256 over the shards' own, in order: two folders with it equal hold the same."""
        return chain_sha256(shard.sha256 for shard in self.shards)

    def identity(self) -> dict[str, object]:
        """Return what decides every byte of the shards, by name, as far as one machine goes.

        Two runs may share a folder only if all of it is equal. Not in it: device and budget (the
        same numbers but for rounding), versions of libraries, and the name of the input.
        """
        spec = self.embedder
        if spec is None:
            made_of: dict[str, object] = {
                "parts": [[part.name, part.width, part.sha256] for part in self.parts]
            }
        else:
            made_of = {
                "embedder": spec.name,
                "weights": spec.weights.sha256,
                "runtime": spec.runtime,
                "dtype": spec.dtype,
                "truncation": spec.truncation.value,
                "window of residues": spec.window_residues,
                "cleaning policy": spec.cleaning_policy,
                "width": spec.width,
            }
        return made_of | {
            "kind": self.kind.value,
            "input": [source.sha256 for source in self.sources],
            "records of the input": [source.records for source in self.sources],
            "shard size": self.shard_size,
            "format": self.format.value,
            "label": self.label,
        }

    @property
    def fingerprint(self) -> str:
        """SHA-256 over :meth:`identity`: a folder is resumed only by a run that has the same."""
        text = json.dumps(self.identity(), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode("utf-8")).hexdigest()


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
    """Write ``manifest.json``, whole or not at all, as strict JSON.

    ``fingerprint`` and ``totals`` follow from the rest; they are written for whoever reads the file
    and compared when it is read back.
    """
    document = _converter().unstructure(manifest) | _derived(manifest)
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
    document = read_json(path, schema=SCHEMA, error=ManifestError, remedy=_REMEDY)
    stated = {name: document.pop(name, None) for name in _DERIVED}
    try:
        manifest = _converter().structure(document, Manifest)
    except BaseValidationError as error:
        problems = "; ".join(transform_error(error, format_exception=_sentence))
        raise ManifestError(f"{path}: {problems}; {_REMEDY}") from error
    for name, value in _derived(manifest).items():
        if stated[name] != value:
            raise ManifestError(
                f"{path}: {name} is {stated[name]!r}, but the rest of it gives {value!r}; {_REMEDY}"
            )
    return manifest


def _derived(manifest: Manifest) -> dict[str, object]:
    return {"fingerprint": manifest.fingerprint, "totals": manifest.totals}


def _sentence(error: BaseException, kind: type | None) -> str:
    return str(error) if isinstance(error, ValueError) else format_exception(error, kind)


def _converter() -> JsonConverter:
    converter = make_converter(forbid_extra_keys=True)
    exact_types(converter)
    return converter
