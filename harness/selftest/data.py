"""Made-up proteins of two classes, so that the self-test needs no file and no network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.judge import Examples, Homologues

AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"
CODONS = {
    "A": "GCT", "C": "TGT", "D": "GAT", "E": "GAA", "F": "TTT", "G": "GGT", "H": "CAT",
    "I": "ATT", "K": "AAA", "L": "CTT", "M": "ATG", "N": "AAT", "P": "CCT", "Q": "CAA",
    "R": "CGT", "S": "TCT", "T": "ACT", "V": "GTT", "W": "TGG", "Y": "TAT",
}  # fmt: skip
"""One codon of each, of the standard table."""
GROUPS = 24
"""Of each class."""
PROTEINS_PER_GROUP = 20
SHORTEST, LONGEST = 50, 170

_CLASS_SPREAD, _GROUP_SPREAD = 0.22, 0.3


@dataclass(frozen=True, slots=True)
class MadeUp:
    """Sequences, row by row those of ``examples``, and which of them are kin."""

    sequences: tuple[str, ...]
    examples: Examples
    homologues: Homologues

    def write_fasta(self, path: Path, rows: range) -> Path:
        """Write some of the sequences under their ids; return the file."""
        lines = [f">{self.examples.ids[row]}\n{self.sequences[row]}\n" for row in rows]
        path.write_text("".join(lines), encoding="utf-8")
        return path

    def write_genes(self, path: Path, rows: range) -> Path:
        """Write genes that the proteins could come from, one codon of a residue each time."""
        lines = [
            f">{self.examples.ids[row]}\n{''.join(map(CODONS.__getitem__, self.sequences[row]))}\n"
            for row in rows
        ]
        path.write_text("".join(lines), encoding="utf-8")
        return path


def make_up(seed: int) -> MadeUp:
    """Draw proteins whose composition leans by class and, more strongly, by group.

    Proteins of one group are kin of each other, those of two groups are not: what a split by row
    would leak is known exactly.
    """
    random = np.random.default_rng(seed)
    leaning = random.normal(0, _CLASS_SPREAD, len(AMINO_ACIDS))
    sequences, ids, groups, labels = [], [], [], []
    for label, word in enumerate(("host", "viral")):
        for group in range(GROUPS):
            scores = (2 * label - 1) * leaning
            scores = scores + random.normal(0, _GROUP_SPREAD, len(AMINO_ACIDS))
            chances = np.exp(scores) / np.exp(scores).sum()
            for protein in range(PROTEINS_PER_GROUP):
                length = int(random.integers(SHORTEST, LONGEST))
                sequences.append("M" + "".join(random.choice(list(AMINO_ACIDS), length, p=chances)))
                ids.append(f"{word}-{group}-{protein}")
                groups.append(f"{word}-{group}")
                labels.append(label)
    examples = Examples(tuple(ids), tuple(ids), tuple(groups), np.array(labels, dtype=np.int64))
    members = np.arange(len(ids)).reshape(-1, PROTEINS_PER_GROUP)
    first, second = np.triu_indices(PROTEINS_PER_GROUP, 1)
    kin = np.stack([members[:, first].ravel(), members[:, second].ravel()], axis=1)
    homologues = Homologues(np.arange(len(ids)), kin, tool="made up", version="1")
    return MadeUp(tuple(sequences), examples, homologues)
