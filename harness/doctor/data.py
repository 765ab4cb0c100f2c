"""The data sets of a migration: read once, and counted."""

from __future__ import annotations

from embedders import Checkpoint, InputError
from harness.doctor.finding import Finding, fine, lacking
from harness.doctor.storage import Amount
from harness.features import open_folder, survey_fasta
from harness.spec import Dataset, MigrationSpec


def amount_of(dataset: Dataset, dna: Checkpoint, sequences: int | None = None) -> Amount:
    """Count a data set's records, unless told how many, and learn how wide its DNA half is.

    Raises
    ------
    InputError
        If its proteins are no FASTA file, or its DNA features cannot be read.
    """
    rows = survey_fasta(dataset.proteins).records if sequences is None else sequences
    if dataset.dna_features is not None:
        return Amount(rows, open_folder(dataset.dna_features).width, dna_embedded=False)
    return Amount(rows, dna.width if dataset.nucleotides is not None else 0)


def examine(
    spec: MigrationSpec, dna: Checkpoint, sequences: int | None = None
) -> tuple[Finding, list[Amount]]:
    """Say whether every data set can be read, and what they amount to.

    Parameters
    ----------
    dna
        What embeds the DNA half.
    sequences
        If given, no record is counted: all data sets together are taken to have so many, and each
        of them to be like the widest.

    Returns
    -------
    tuple[Finding, list[Amount]]
        Data sets that cannot be read are not in the amounts.
    """
    amounts: dict[str, Amount] = {}
    faults: list[str] = []
    for dataset in spec.datasets:
        try:
            amounts[dataset.name] = amount_of(dataset, dna, sequences)
        except InputError as error:
            faults.append(str(error))
    counted = list(amounts.values())
    details: dict[str, object] = {name: each.sequences for name, each in amounts.items()}
    listed = ", ".join(f"{name} {each.sequences:,} records" for name, each in amounts.items())
    if sequences is not None:
        counted = sorted(counted, key=lambda each: (each.dna_width, each.dna_embedded))[-1:]
        details = {"sequences": sequences}
        listed = f"{', '.join(amounts)}: not counted, {sequences:,} sequences as asked"
    if faults:
        found, remedy = "; ".join(faults), "mend the files, or name others in the migration file"
        return lacking("data", found, remedy, needed=True, details=details), counted
    return fine("data", listed, needed=True, details=details), counted
