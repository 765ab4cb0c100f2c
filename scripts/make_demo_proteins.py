"""Make the bundled protein set: about 900 viral and 900 other UniProt proteins, by organism.

    python -m scripts.make_demo_proteins

Writes `proteins.faa.gz`, `proteins.csv` and `ATTRIBUTION-proteins.md`. The same bytes every time.
"""

import argparse
import csv
import gzip
import io
from collections import Counter
from pathlib import Path

from scripts.sources import MMSEQS2_EXAMPLES, SourceError, sha256_of
from scripts.uniprot import (
    DATABASE_MEMBER,
    DATABASE_SHA256,
    KmerIndex,
    Protein,
    is_clear,
    read_database,
    shuffled,
)

SEED = 20250722
PER_CLASS = 860
CAP_VIRAL = 20  # proteins of one virus; some have more than a hundred
CAP_OTHER = 4
# One in four proteins over 1,024 residues is taken and none over 3,000: the long ones stay in the
# mix (they are what truncation is for) without being half of all residues.
LONG_RESIDUES = 1024
LONG_ONE_IN = 4
LONGEST_RESIDUES = 3000
DATA = Path("benchmarks/data")


def select(proteins: list[Protein], seed: int, per_class: int) -> list[Protein]:
    """Return `per_class` viral and `per_class` other proteins, by accession.

    No two have the same sequence, and none is near-identical to one of another group.

    Raises SourceError where the rules leave too few.
    """
    labels: dict[str, set[bool]] = {}
    for protein in proteins:
        labels.setdefault(protein.sequence, set()).add(protein.is_viral)
    chosen: list[Protein] = []
    seen: set[str] = set()
    index = KmerIndex.of(())
    for is_viral, cap in ((True, CAP_VIRAL), (False, CAP_OTHER)):
        per_group: Counter[str] = Counter()
        before = len(chosen)
        for rank, protein in enumerate(shuffled(proteins, seed)):
            if len(chosen) - before == per_class:
                break
            if protein.is_viral != is_viral or not is_clear(protein):
                continue
            # The same sequence under both labels says nothing about either.
            if len(labels[protein.sequence]) > 1 or per_group[protein.group] >= cap:
                continue
            length = len(protein.sequence)
            if length > LONGEST_RESIDUES or (length > LONG_RESIDUES and rank % LONG_ONE_IN):
                continue
            # A variant within a group cannot leak across a split, a copy is no news all the same.
            if protein.sequence in seen or index.groups_near(protein.sequence) - {protein.group}:
                continue
            seen.add(protein.sequence)
            index.add(protein)
            per_group[protein.group] += 1
            chosen.append(protein)
        if len(chosen) - before != per_class:
            kind = "viral" if is_viral else "other"
            raise SourceError(f"{len(chosen) - before} {kind} proteins are left of {per_class}")
    return sorted(chosen, key=lambda protein: protein.accession)


def write_fasta(proteins: list[Protein], path: Path) -> None:
    """Write gzip FASTA, 60 letters a line, ids only, with no time stamp in the gzip header."""
    lines = []
    for protein in proteins:
        lines.append(f">{protein.accession}")
        letters = protein.sequence
        lines += [letters[i : i + 60] for i in range(0, len(letters), 60)]
    with path.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
        packed.write(("\n".join(lines) + "\n").encode("ascii"))


def write_csv(proteins: list[Protein], path: Path) -> None:
    """Write `id,label,group,organism`, one row per protein in the FASTA's order."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("id", "label", "group", "organism"))
    for protein in proteins:
        label = "viral" if protein.is_viral else "host"
        writer.writerow((protein.accession, label, protein.group, protein.organism))
    path.write_text(text.getvalue(), encoding="utf-8")


def write_attribution(proteins: list[Protein], fasta: Path, table: Path, path: Path) -> None:
    """Write origin, licence, rules, counts and hashes of the set."""
    rows = []
    for is_viral, kind in ((True, "viral"), (False, "host")):
        of_kind = [protein for protein in proteins if protein.is_viral == is_viral]
        lengths = sorted(len(protein.sequence) for protein in of_kind)
        groups = Counter(protein.group for protein in of_kind)
        rows.append(
            f"| {kind} | {len(of_kind)} | {len(groups)} | {max(groups.values())} "
            f"| {sum(lengths):,} | {lengths[0]} | {lengths[len(lengths) // 2]} | {lengths[-1]} "
            f"| {sum(length > LONG_RESIDUES for length in lengths)} |"
        )
    table_rows = "\n".join(rows)
    path.write_text(
        f"""# proteins.faa.gz, proteins.csv

UniProt proteins with the organism as group: does a mean protein embedding tell viral proteins
from others, in organisms that the classifier has not seen?

## Origin and licence

UniProt Knowledgebase (Swiss-Prot and TrEMBL), by The UniProt Consortium, **CC BY 4.0**
(creativecommons.org/licenses/by/4.0); the ids are UniProt accessions. Changed here: a selection was
made, and only accession, organism and sequence were kept. Please cite: The UniProt Consortium,
*UniProt: the Universal Protein Knowledgebase*, Nucleic Acids Research.

Taken from Debian's package `{MMSEQS2_EXAMPLES.package}` {MMSEQS2_EXAMPLES.version}, file
`{DATABASE_MEMBER}` (20,000 proteins, the example database of MMseqs2).

## What is in it

| label | proteins | groups | largest | residues | shortest | median | longest | > {LONG_RESIDUES} |
|---|---|---|---|---|---|---|---|---|
{table_rows}

- A protein is `viral` where its organism's name holds a word that ends in virus, viridae, viroid,
  virophage or phage, otherwise `host`: bacteria, archaea and eukaryotes.
- `group` is one name per species or virus: strains, isolates and subtypes are folded into it, and
  the commonest synonyms too (Epstein-Barr virus is human-herpesvirus-4). `organism` is UniProt's.
- Left out: satellites, plasmids, metagenomes and uncultured organisms; sequences that occur under
  both labels; host proteins whose product names a phage, virus, transposon, integrase or capsid;
  shorter than 20 residues; more than 5 % X.
- No sequence occurs twice, and no protein shares half of its 6-mers or more with one of another
  group, of the same label or the other: near-identical proteins never sit on both sides of a split.
- At most {CAP_VIRAL} proteins of one virus and {CAP_OTHER} of one other species.
- The length mix is UniProt's, but for size only one protein in {LONG_ONE_IN} over {LONG_RESIDUES:,}
  residues was taken and none over {LONGEST_RESIDUES:,}.
- What it is not: a sample of nature. It has UniProt's bias towards well-studied viruses, and the
  classes differ in domain of life and in protein families, not in being viral alone.

## Hashes (SHA-256)

| file | SHA-256 |
|---|---|
| {fasta.name} | `{sha256_of(fasta)}` |
| {table.name} | `{sha256_of(table)}` |
| {MMSEQS2_EXAMPLES.filename} | `{MMSEQS2_EXAMPLES.sha256}` |
| DB.fasta.gz | `{DATABASE_SHA256}` |

Made by `python -m scripts.make_demo_proteins` (seed {SEED}).
""",
        encoding="utf-8",
    )


def main() -> None:
    """Make the three files and say what is in them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, default=DATA, help="folder [%(default)s]")
    parser.add_argument("--cache", type=Path, help="folder of fetched packages")
    arguments = parser.parse_args()
    output: Path = arguments.output
    proteins = select(read_database(arguments.cache), SEED, PER_CLASS)
    output.mkdir(parents=True, exist_ok=True)
    fasta, table = output / "proteins.faa.gz", output / "proteins.csv"
    write_fasta(proteins, fasta)
    write_csv(proteins, table)
    write_attribution(proteins, fasta, table, output / "ATTRIBUTION-proteins.md")
    residues = sum(len(protein.sequence) for protein in proteins)
    size = fasta.stat().st_size + table.stat().st_size
    print(f"{len(proteins)} proteins, {residues:,} residues, {size:,} bytes in {output}")


if __name__ == "__main__":
    main()
