"""Which records of a FASTA file are mapped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from embedders import InputError
from embedders.alphabet import clean_protein
from harness import features
from harness.features.errors import list_ids, show_id


@dataclass(frozen=True, slots=True)
class Chosen:
    """A record to be mapped: its number in the file from 1, and its residues after cleaning."""

    id: str
    number: int
    residues: str


def read_ids(path: Path) -> list[str]:
    """Read ids, one a line; blank lines and blanks around an id do not count.

    Raises
    ------
    InputError
        If the file is no UTF-8 text.
    OSError
        If it cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: no UTF-8 text ({error}); save it as plain text") from error
    return [line.strip() for line in lines if line.strip()]


def choose(fasta: Path, ids: Sequence[str]) -> tuple[Chosen, ...]:
    """Find records by their ids, in the order of the ids, and clean them.

    The whole file is read before, so that a fault anywhere in it shows.

    Raises
    ------
    FastaError
        If the file cannot be trusted.
    InputError
        If no id is given, one comes twice or is not there, or the cleaning policy refuses a
        record; all of them are named.
    """
    repeated = [each for each, times in Counter(ids).items() if times > 1]
    if repeated:
        raise InputError(f"ids asked for more than once, {list_ids(repeated)}; name each once")
    if not ids:
        raise InputError("no id is given; name the records to map")
    wanted = set(ids)
    survey = features.survey_fasta(fasta)
    records = features.read_fasta(fasta, expected=survey)
    found = {record.id: record for record in records if record.id in wanted}
    missing = [each for each in ids if each not in found]
    if missing:
        raise InputError(
            f"{fasta}: no record has these ids, {list_ids(missing)}; an id is the first word "
            "behind the '>'"
        )
    chosen, refused = [], []
    for each in ids:
        cleaned = features.admit(found[each], clean_protein)
        if isinstance(cleaned, features.Reject):
            refused.append(f"record {cleaned.position} ({show_id(each)}): {cleaned.reason}")
        else:
            chosen.append(Chosen(each, found[each].number, cleaned.residues))
    if refused:
        raise InputError(f"{fasta}, {'; '.join(refused)}; mend such records, or leave them out")
    return tuple(chosen)
