"""Faults in folders of embeddings: another model's features, a flipped bit, a record lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from embedders import Embedder, EmbedderSpec, load
from harness import features, measure
from harness.selftest.data import MadeUp
from harness.selftest.trap import Trap, trap_of_refusal

RECORDS = 16


@dataclass(frozen=True, slots=True)
class Retrained(measure.Faulty):
    """The same checkpoint with other weights, as after an update that kept the name."""

    @property
    def spec(self) -> EmbedderSpec:
        """That of the embedder within, but for the hash of the weights."""
        weights = replace(self.inner.spec.weights, sha256="0" * 64)
        return replace(self.inner.spec, weights=weights)


def traps(embedder: Embedder, made_up: MadeUp, folder: Path) -> Iterator[Trap]:
    """Plant each fault in a folder below ``folder``."""
    fasta = made_up.write_fasta(folder / "proteins.faa", range(RECORDS))
    store = folder / "features"
    extract(fasta, embedder, store)
    yield trap_of_refusal(
        "features of earlier weights under the same name",
        "fingerprint of the folder",
        lambda: extract(fasta, embedder, store),
        lambda: extract(fasta, Retrained(embedder), store),
    )
    broken = folder / "broken"
    extract(fasta, embedder, broken)
    shard = next(path for path in sorted(broken.rglob("*.pt")) if path.is_file())
    _flip_a_bit(shard)
    yield trap_of_refusal(
        "one bit of a shard flipped",
        "SHA-256 in the manifest",
        lambda: list(features.open_folder(store).blocks()),
        lambda: list(features.open_folder(broken).blocks()),
    )
    dna, lacking = folder / "dna", folder / "lacking"
    genes = made_up.write_genes(folder / "genes.fna", range(RECORDS))
    extract(genes, load("kmer4"), dna)
    fewer = made_up.write_fasta(folder / "fewer.faa", range(RECORDS - 1))
    extract(fewer, embedder, lacking)
    yield trap_of_refusal(
        "a record missing on one side of the merge",
        "joins by id",
        lambda: features.merge(dna, store, folder / "merged"),
        lambda: features.merge(dna, lacking, folder / "mismatched"),
    )


def extract(fasta: Path, embedder: Embedder, folder: Path) -> None:
    """Embed a file into a folder."""
    features.extract(fasta, embedder, folder, tokens_per_batch=2048, shard_size=RECORDS)


def _flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
