"""Folders of shards: ours with a manifest, and the original pipeline's without one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.features.errors import (
    FeaturesError,
    FolderError,
    ManifestError,
    ShardCorrupt,
    list_ids,
)
from harness.features.manifest import (
    MANIFEST_FILE,
    FileEntry,
    Manifest,
    Part,
    Source,
    chain_sha256,
    read_manifest,
)
from harness.features.shard_files import read_shard
from harness.features.shards import Kind, Shard
from harness.provenance import sha256

_ORIGINAL_SUFFIX = ".pt"


@dataclass(frozen=True, slots=True)
class EmbeddingFolder:
    """A finished folder of shards, or files of the original pipeline, opened for reading.

    ``parts`` are the identities of the embedders, in column order; their widths sum to ``width``.
    ``manifest`` is None for files of the original pipeline, which say nothing about themselves.
    """

    path: Path
    kind: Kind
    width: int
    parts: tuple[Part, ...]
    files: tuple[Path, ...]
    manifest: Manifest | None = None

    @property
    def name(self) -> str:
        """What the folder's embedders are called, joined by ``+``."""
        return "+".join(part.name for part in self.parts)

    def blocks(self, *, verify: bool = True) -> Iterator[Shard]:
        """Yield the shards in order, one in memory at a time.

        Parameters
        ----------
        verify
            Compare each file with the SHA-256 in the manifest, where there is one.

        Raises
        ------
        ShardCorrupt
            If a file is damaged, or of another form, width or content than the folder's.
        """
        entries = dict.fromkeys(self.files) if self.manifest is None else self._entries()
        for path, entry in entries.items():
            # hashed first: a changed file is not worth unpickling
            if verify and entry is not None:
                _verify(path, entry)
            shard = read_shard(path)
            if shard.kind is not self.kind or shard.width != self.width:
                raise ShardCorrupt(
                    path,
                    f"holds {shard.kind} vectors {shard.width} wide among {self.kind} vectors "
                    f"{self.width} wide",
                )
            if entry is not None and len(shard.ids) != entry.rows:
                raise ShardCorrupt(
                    path, f"holds {len(shard.ids)} rows where the manifest says {entry.rows}"
                )
            yield shard

    def ids(self) -> tuple[str, ...]:
        """Return all ids in order; reads every shard.

        Raises
        ------
        FeaturesError
            If an id comes twice.
        """
        ids = tuple(each for block in self.blocks() for each in block.ids)
        check_unique(ids, self.path)
        return ids

    def source(self, rows: int) -> Source:
        """Describe this folder and its ``rows``, which the caller counted, as another's source."""
        digest = (
            chain_sha256(sha256(file) for file in self.files)
            if self.manifest is None
            else self.manifest.content_sha256
        )
        return Source(self.path.name, digest, rows)

    def _entries(self) -> dict[Path, FileEntry | None]:
        listed = () if self.manifest is None else self.manifest.shards
        return dict(zip(self.files, listed, strict=True))


def open_folder(path: Path, *, embedder: str = "unrecorded") -> EmbeddingFolder:
    """Open a folder written here, a folder of original ``.pt`` files, or one such file.

    Parameters
    ----------
    path
        A folder or a file.
    embedder
        What made files that have no manifest, as far as the caller knows.

    Raises
    ------
    FolderError
        If there is nothing to read.
    ManifestError
        If the manifest is damaged, or says that the run was never finished.
    ShardCorrupt
        If the first file of a folder without manifest is damaged.
    """
    if path.is_dir() and (path / MANIFEST_FILE).exists():
        manifest = read_manifest(path)
        if not manifest.complete:
            raise ManifestError(
                f"{path / MANIFEST_FILE}: the run that writes this folder has not finished; repeat "
                "its command, which goes on from where it stopped"
            )
        files = tuple(path / entry.file for entry in manifest.shards)
        return EmbeddingFolder(path, manifest.kind, manifest.width, manifest.parts, files, manifest)
    files = _original_files(path)
    first = read_shard(files[0])
    parts = (Part(embedder, first.kind, first.width, None),)
    return EmbeddingFolder(path, first.kind, first.width, parts, files)


def check_unique(ids: tuple[str, ...], path: Path) -> None:
    """Raise FeaturesError if an id comes twice."""
    if len(set(ids)) != len(ids):
        repeated = [each for each, count in Counter(ids).items() if count > 1]
        raise FeaturesError(
            f"{path}: ids that come more than once, {list_ids(repeated)}; keep one of each"
        )


def _verify(path: Path, entry: FileEntry) -> None:
    try:
        found = sha256(path)
    except OSError as error:
        raise ShardCorrupt(path, f"cannot be read ({error.strerror})") from error
    if found != entry.sha256:
        raise ShardCorrupt(path, "its bytes have changed since it was written (SHA-256 differs)")


def _original_files(path: Path) -> tuple[Path, ...]:
    if path.is_file():
        return (path,)
    if not path.is_dir():
        raise FolderError(f"{path}: there is no such file or folder")
    files = tuple(sorted(path.glob(f"*{_ORIGINAL_SUFFIX}")))
    if not files:
        raise FolderError(
            f"{path}: holds neither {MANIFEST_FILE} nor {_ORIGINAL_SUFFIX} files; "
            "give a folder that `harness embed` or `harness merge` wrote"
        )
    return files
