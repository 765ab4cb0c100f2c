"""Make the bundled contig set: about 1,000 phage and 1,000 bacterial open frames of 500 bp chunks.

    python -m scripts.make_demo_contigs

Writes `contigs.fna.gz`, `contigs.faa.gz`, `contigs.csv` and `ATTRIBUTION-contigs.md`. The same
sequences every time. Needs `mmseqs` (`apt-get install mmseqs2`) and a few minutes.
"""

import argparse
import csv
import gzip
import hashlib
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from scripts.contigs import CONTIG_BP, TWIN_BP, TWIN_RESIDUES, Contig, Draw, Frame, cut
from scripts.genomes import HOST_FILES, Genome, read_hosts, read_phages, related_groups
from scripts.prophages import (
    FLANK_BP,
    HALLMARKS,
    MMSEQS_VERSION,
    PROPHAGE_BP,
    SEARCH,
    find_hits,
    is_phage_like,
    phage_queries,
)
from scripts.sources import LOVIS4U, MMSEQS2_EXAMPLES, PYRODIGAL, RAGOUT_EXAMPLES, sha256_of
from scripts.uniprot import read_database

SEED = 20250722
PER_CLASS = 1000
GROUP_K = 8
GROUP_CONTAINMENT = 0.02
DATA = Path("benchmarks/data")


@dataclass(frozen=True, slots=True)
class Made:
    """The set, and what was left out on the way to it."""

    genomes: tuple[Genome, ...]
    group_of: dict[str, str]
    frames: tuple[Frame, ...]
    dropped: dict[str, int]

    def label(self, frame: Frame) -> str:
        """`host` where the genome is one of the bacteria, otherwise `viral`."""
        return "host" if frame.contig.genome in HOST_FILES else "viral"


def make(cache: Path | None) -> Made:
    """Return the set, viral frames first, each class by genome and place in it."""
    phages, hosts = read_phages(cache), read_hosts(cache)
    group_of = related_groups(
        {phage.name: [protein.sequence for protein in phage.proteins] for phage in phages},
        GROUP_K,
        GROUP_CONTAINMENT,
    )
    group_of |= {host.name: host.name for host in hosts}
    dropped: Counter[str] = Counter()
    pieces = {genome.name: _plain(genome, group_of, dropped) for genome in (*phages, *hosts)}
    hits = find_hits(hosts, phage_queries(phages, read_database(cache)))
    draw = Draw()
    draw.fill({phage.name: pieces[phage.name] for phage in phages}, PER_CLASS, SEED)
    bacterial: dict[str, list[Contig]] = {}
    for host in hosts:
        kept = [contig for contig in pieces[host.name] if not is_phage_like(contig, hits)]
        dropped["host pieces near a phage gene"] += len(pieces[host.name]) - len(kept)
        bacterial[host.name] = kept
    draw.fill(bacterial, PER_CLASS, SEED)
    frames = sorted(
        draw.frames, key=lambda f: (f.contig.genome in HOST_FILES, f.contig.genome, f.contig.number)
    )
    return Made((*phages, *hosts), group_of, tuple(frames), {**dropped, **draw.dropped})


def _plain(genome: Genome, group_of: dict[str, str], dropped: Counter[str]) -> list[Contig]:
    contigs = list(cut(genome, group_of[genome.name]))
    kept = [contig for contig in contigs if set(contig.sequence) <= set("ACGT")]
    kind = "host" if genome.name in HOST_FILES else "phage"
    dropped[f"{kind} pieces in all"] += len(contigs)
    dropped[f"{kind} pieces with letters other than A, C, G, T"] += len(contigs) - len(kept)
    return kept


def fasta_text(records: list[tuple[str, str]]) -> str:
    """FASTA with one line per sequence and nothing but the id in the header."""
    return "".join(f">{name}\n{letters}\n" for name, letters in records)


def write_gzip(text: str, path: Path) -> None:
    """Write with no time stamp and no name in the gzip header."""
    with path.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
        packed.write(text.encode("ascii"))


def csv_text(made: Made) -> str:
    """`id,label,group,genome,contig`, one row per frame in the order of the FASTA files."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("id", "label", "group", "genome", "contig"))
    for frame in made.frames:
        contig = frame.contig
        writer.writerow((frame.id, made.label(frame), contig.group, contig.genome, contig.id))
    return text.getvalue()


def _phage_name(genome: Genome) -> str:
    name = genome.description.removeprefix(genome.name).removesuffix("rotated=True").strip()
    return name.removesuffix(", complete genome") or "none"


def attribution(made: Made, hashes: str) -> str:
    """Origin, licences, rules, counts, hashes, and how to make the set again."""
    frames = Counter(frame.contig.genome for frame in made.frames)
    contigs = Counter(genome for genome, _ in {(f.contig.genome, f.contig) for f in made.frames})
    labels = Counter(made.label(frame) for frame in made.frames)
    groups = {(made.label(frame), frame.contig.group) for frame in made.frames}
    hosts = "\n".join(
        f"| {g.name} | {g.description.replace('|', ' ')} | {len(g.replicons)} | {g.length_bp:,} "
        f"| {contigs[g.name]} | {frames[g.name]} |"
        for g in made.genomes
        if g.name in HOST_FILES
    )
    phages = "\n".join(
        f"| {made.group_of[g.name]} | {g.name} | {_phage_name(g)} "
        f"| {g.length_bp:,} | {contigs[g.name]} | {frames[g.name]} |"
        for g in sorted(made.genomes, key=lambda g: (made.group_of[g.name], g.name))
        if g.name not in HOST_FILES
    )
    dropped = "\n".join(f"| {what} | {count:,} |" for what, count in made.dropped.items())
    return f"""# contigs.fna.gz, contigs.faa.gz, contigs.csv

{labels["viral"]:,} phage and {labels["host"]:,} bacterial open frames: does a frame come from a
phage or from a bacterium, in genomes that the classifier has not seen?
{sum(group[0] == "viral" for group in groups)} phage groups, \
{sum(group[0] == "host" for group in groups)} bacterial groups.

## How a frame is made

Genomes are cut end to end into contigs of {CONTIG_BP:,} bp, a contig into chunks of 500 bp. A chunk
is translated in six frames by Biopython (table 11), and a frame is kept when its 166 codons hold no
stop. `contigs.fna.gz` has the frame's own 498 bp in reading direction, so that translating them
gives exactly the protein of `contigs.faa.gz`. A chunk may have several open frames, and not each
of them is a gene: so it is in the pipeline that these data stand for.
Ids are `<genome>_c<number of the contig in the genome>_chunk_<n><F|R><1-3>`.

- `group`, phages: single linkage on shared protein {GROUP_K}-mers of the annotated genes; two
  phages are linked where the smaller set shares {GROUP_CONTAINMENT:.0%} or more of its own with the
  other. It was computed because the package's files carry no taxonomy; the groups are about as wide
  as families, and P1 and P2 are joined by what they share. A group bears the name of its first
  phage.
- `group`, bacteria: the genome. Strains of one species are groups of their own, so a split by
  group does not hide a species from the classifier; the species is the genome's name up to the
  hyphen.
- The next contig is always taken from the group with the fewest frames, in it from the genome with
  the fewest, in an order that a seeded hash decides.
- No two contigs of the set share one {TWIN_BP}-mer of DNA, on either strand, or one
  {TWIN_RESIDUES}-mer of their frames' proteins: the same locus of two strains, or a common gene,
  comes once, within a group as well as across groups.
- Bacterial contigs near phage genes were left out: within {FLANK_BP:,} bp of any match, and within
  {PROPHAGE_BP:,} bp of a match to a gene of what phages alone do
  ({"; ".join(sorted(HALLMARKS))}) or to a UniProt protein.
  Searched for were all annotated proteins of the 78 phages, and the proteins of the MMseqs2 example
  database (UniProt) whose organism or product names a phage, by
  MMseqs2 {MMSEQS_VERSION} with `{" ".join(SEARCH)}`.
  Prophages of *Staphylococcus*, *Vibrio* or *Corynebacterium* without likeness to any of these may
  have stayed in.
- What it is not: a sample of nature. All phages infect *E. coli*, most are virulent, and only the
  bacteria named below stand for bacteria.

| pieces of {CONTIG_BP:,} bp | count |
|---|---|
{dropped}

## Origin and licence

Sequences of public nucleotide databases. NCBI places no restrictions on the use or distribution of
GenBank data, and says that some submitters may claim rights in theirs
(www.ncbi.nlm.nih.gov/genbank). Changed here: pieces were cut out and translated.

| what | taken from | package's licence |
|---|---|---|
| 78 phages | PyPI `{LOVIS4U.project}` {LOVIS4U.version}, \
`lovis4u/lovis4u_data/guide/BaselCollection` | WTFPL |
| 16 bacteria | Debian `{RAGOUT_EXAMPLES.package}` {RAGOUT_EXAMPLES.version}, \
`usr/share/doc/ragout/examples/*/references` | BSD-3-clause |
| Cdiphtheriae-NCTC11397, Ecoli-MIIJ01000039 | PyPI `{PYRODIGAL.project}` {PYRODIGAL.version}, \
`pyrodigal/tests/data` | GPL-3.0-or-later (the program) |
| phage proteins for the search only | Debian `{MMSEQS2_EXAMPLES.package}` \
{MMSEQS2_EXAMPLES.version} (UniProt) | CC BY 4.0 |

No program code of these packages is used or copied. Please cite for the phages: Maffei et al.,
*Systematic exploration of Escherichia coli phage-host interactions with the BASEL phage
collection*, PLOS Biology 2021, doi:10.1371/journal.pbio.3001424; for the package they come in:
Egorov and Atkinson, *LoVis4u*, NAR Genomics and Bioinformatics 2025, doi:10.1093/nargab/lqaf009.
The bacteria bear the accessions of their files' own headers; MG1655's header has none, and its
length is that of NC_000913.2. Ecoli-MIIJ01000039 is one long contig of a draft genome, NCBI
taxon 562 (*E. coli*) by its header; 40% of its 31-mers occur in MG1655.

| bacterium | header of its file | replicons | bp | contigs | frames |
|---|---|---|---|---|---|
{hosts}

| group | phage | name in its file | bp | contigs | frames |
|---|---|---|---|---|---|
{phages}

## Hashes (SHA-256)

| file | SHA-256 |
|---|---|
{hashes}

The unpacked hashes are those to compare: another zlib may pack the same text into other bytes.
Made by `apt-get install mmseqs2 && python -m scripts.make_demo_contigs` (seed {SEED}).
"""


def main() -> None:
    """Make the four files and say what is in them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, default=DATA, help="folder [%(default)s]")
    parser.add_argument("--cache", type=Path, help="folder of fetched packages")
    arguments = parser.parse_args()
    output: Path = arguments.output
    made = make(arguments.cache)
    output.mkdir(parents=True, exist_ok=True)
    table = output / "contigs.csv"
    table.write_text(csv_text(made), encoding="ascii")
    rows = [(table.name, sha256_of(table))]
    texts = {
        "contigs.fna.gz": fasta_text([(frame.id, frame.nucleotides) for frame in made.frames]),
        "contigs.faa.gz": fasta_text([(frame.id, frame.protein) for frame in made.frames]),
    }
    for name, text in texts.items():
        write_gzip(text, output / name)
        unpacked = hashlib.sha256(text.encode("ascii")).hexdigest()
        rows += [(name, sha256_of(output / name)), (f"{name}, unpacked", unpacked)]
    rows += [
        (source.filename, source.sha256)
        for source in (LOVIS4U, RAGOUT_EXAMPLES, PYRODIGAL, MMSEQS2_EXAMPLES)
    ]
    hashes = "\n".join(f"| {name} | `{digest}` |" for name, digest in rows)
    page = attribution(made, hashes)
    (output / "ATTRIBUTION-contigs.md").write_text(page, encoding="utf-8")
    print(f"{len(made.frames)} frames in {output}; {made.dropped}")


if __name__ == "__main__":
    main()
