"""Which proteins fine-tuned weights have learnt from, lest they be judged by what they know.

A folder of fine-tuned weights lists them beside the weights: the first 16 hexadecimal digits of the
SHA-256 of each one's cleaned residues, a line each, sorted.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from embedders import InputError
from embedders.alphabet import clean_protein
from harness import features
from harness.files import write_text_atomically
from harness.spec import ArmName, MigrationSpec

LEARNT_FILE = "learnt-from.txt"
_DIGEST = re.compile(r"[0-9a-f]{16}")


def write_learnt(folder: Path, residues: Iterable[str], *, start: str | None) -> Path:
    """List these proteins in a folder of weights, and those that ``start`` had learnt from before.

    ``start``: the weights that were fine-tuned, as :func:`embedders.load` takes them.
    """
    known = sorted({*map(_digest, residues), *learnt_from(start)})
    path = folder / LEARNT_FILE
    write_text_atomically(path, "".join(f"{each}\n" for each in known))
    return path


def learnt_from(weights: str | None) -> frozenset[str]:
    """Return the digests that lie beside the weights of a folder; none of any other weights.

    Raises
    ------
    InputError
        If the list is damaged; the message names the line.
    """
    path = None if weights is None else Path(weights) / LEARNT_FILE
    if path is None or not path.is_file():
        return frozenset()
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    for number, line in enumerate(lines, start=1):
        if not _DIGEST.fullmatch(line):
            raise InputError(
                f"{path}: line {number} is no digest of a protein; fine-tune again, so that the "
                "list is whole"
            )
    return frozenset(lines)


def refuse_known(spec: MigrationSpec) -> None:
    """Refuse to judge an arm by proteins whose labels its weights have learnt.

    Raises
    ------
    InputError
        If a data set has a protein, the same to the residue, that the weights of an arm were
        fine-tuned on; or as :func:`learnt_from`.
    """
    for name in ArmName:
        weights = spec.arm(name).weights
        known = learnt_from(weights)
        for dataset in spec.datasets if known else ():
            residues = list(features.admitted_residues(dataset.proteins, clean_protein))
            shared = sum(_digest(each) in known for each in residues)
            if shared:
                raise InputError(
                    f"{weights}: was fine-tuned on {shared:,} of the {len(residues):,} proteins of "
                    f"{dataset.proteins} and knows their labels; judge the {name} by other "
                    "proteins, or take harness finetune-judge, which fine-tunes in every fold"
                )


def _digest(residues: str) -> str:
    return hashlib.sha256(residues.encode("ascii")).hexdigest()[:16]
