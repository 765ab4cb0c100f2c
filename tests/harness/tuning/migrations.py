"""A migration file over proteins with motifs, from one bundled model to the other."""

from __future__ import annotations

from pathlib import Path

from harness.tuning import Proteins

TEXT = """
schema = 1
name = "motifs"
title = "Motifs"

[baseline]
embedder = "mini-baseline"

[candidate]
embedder = "mini-candidate"

[embedding]
device = "cpu"

[[datasets]]
name = "motifs"
proteins = "proteins.faa"
labels = "labels.csv"
NUCLEOTIDES

[classification]
folds = 2
seeds = [0, 1]

[throughput]
dataset = "motifs"

[gates]
sensitivity_margin = 0.2
specificity_margin = 0.2
"""

CODONS = {
    **{"A": "GCT", "G": "GGT", "L": "CTG", "S": "AGC", "E": "GAA"},
    **{"K": "AAA", "D": "GAT", "T": "ACC", "W": "TGG", "C": "TGC"},
}


def write_migration(folder: Path, proteins: Proteins, *, dna: bool = True) -> Path:
    """Write data and migration file into a folder; return the file.

    The DNA half tells the order of the two residues, which the proteins hardly do.
    """
    ids = [f"p{row:03d}" for row in range(len(proteins))]
    labels = ["viral" if label else "host" for label in proteins.labels]
    (folder / "proteins.faa").write_text(
        "".join(f">{name}\n{text}\n" for name, text in zip(ids, proteins.residues, strict=True)),
        encoding="ascii",
    )
    (folder / "contigs.fna").write_text(
        "".join(
            f">{name}\n{''.join(map(CODONS.__getitem__, text))}\n"
            for name, text in zip(ids, proteins.residues, strict=True)
        ),
        encoding="ascii",
    )
    rows = zip(ids, labels, proteins.groups, strict=True)
    table = "".join(f"{','.join(row)}\n" for row in rows)
    (folder / "labels.csv").write_text(f"id,label,group\n{table}", encoding="ascii")
    path = folder / "motifs.toml"
    nucleotides = 'nucleotides = "contigs.fna"' if dna else ""
    path.write_text(TEXT.replace("NUCLEOTIDES", nucleotides), encoding="utf-8")
    return path
