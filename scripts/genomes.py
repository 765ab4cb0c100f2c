"""Phage and bacterial genomes of the demo contigs, read out of public package files."""

import gzip
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from Bio import SeqIO
from Bio.Seq import Seq

from scripts.sources import LOVIS4U, PYRODIGAL, RAGOUT_EXAMPLES, SourceError, fetch, members

CODE = 11  # NCBI translation table: bacteria, archaea and their phages
PHAGE_FOLDER = "/lovis4u_data/guide/BaselCollection/"
RAGOUT_FOLDER = "usr/share/doc/ragout/examples/"
PYRODIGAL_FOLDER = "pyrodigal/tests/data/"
# Complete or reference sequences only: the packages' shuffled contigs repeat the same genomes.
HOST_FILES = {
    "Ecoli-DH1": f"{RAGOUT_FOLDER}E.Coli/references/DH1.fasta.gz",
    "Ecoli-MG1655": f"{RAGOUT_FOLDER}E.Coli/references/MG1655-K12.fasta.gz",
    "Hpylori-ELS37": f"{RAGOUT_FOLDER}H.Pylori/references/ELS37.fasta.gz",
    "Hpylori-G27": f"{RAGOUT_FOLDER}H.Pylori/references/G27.fasta.gz",
    "Hpylori-Gambia94": f"{RAGOUT_FOLDER}H.Pylori/references/Gambia94_24.fasta.gz",
    "Hpylori-Puno120": f"{RAGOUT_FOLDER}H.Pylori/references/Puno120.fasta.gz",
    "Hpylori-SJM180": f"{RAGOUT_FOLDER}H.Pylori/references/SJM180.fasta.gz",
    "Saureus-COL": f"{RAGOUT_FOLDER}S.Aureus/references/COL.fasta.gz",
    "Saureus-JKD6008": f"{RAGOUT_FOLDER}S.Aureus/references/JKD6008.fasta.gz",
    "Saureus-N315": f"{RAGOUT_FOLDER}S.Aureus/references/N315.fasta.gz",
    "Saureus-RF122": f"{RAGOUT_FOLDER}S.Aureus/references/RF122.fasta.gz",
    "Saureus-USA300": f"{RAGOUT_FOLDER}S.Aureus/references/USA300_FPR3757.fasta.gz",
    "Vcholerae-H1": f"{RAGOUT_FOLDER}V.Cholerae/references/H1.fasta.gz",
    "Vcholerae-Inaba": f"{RAGOUT_FOLDER}V.Cholerae/references/O1_Inaba.fasta.gz",
    "Vcholerae-N16961": f"{RAGOUT_FOLDER}V.Cholerae/references/O1_biovar.fasta.gz",
    "Vcholerae-O395": f"{RAGOUT_FOLDER}V.Cholerae/references/O395.fasta.gz",
    "Cdiphtheriae-NCTC11397": f"{PYRODIGAL_FOLDER}GCF_001457455.1_NCTC11397_genomic.fna.gz",
    "Ecoli-MIIJ01000039": f"{PYRODIGAL_FOLDER}MIIJ01000039.fna.gz",
}


@dataclass(frozen=True, slots=True)
class PhageProtein:
    """One annotated protein of a phage; `function` is the annotation's category (PHROGs)."""

    id: str
    function: str
    sequence: str


@dataclass(frozen=True, slots=True)
class Genome:
    """One genome: its replicons in upper-case letters, and what its file says about them."""

    name: str
    description: str
    replicons: tuple[str, ...]
    proteins: tuple[PhageProtein, ...] = ()

    def __post_init__(self) -> None:
        """Refuse names that would not survive in a frame id, and sequences that are no DNA."""
        if not re.fullmatch(r"[A-Za-z0-9-]+", self.name):
            raise SourceError(f"genome name {self.name!r} is not letters, digits and hyphens")
        if not self.replicons:
            raise SourceError(f"{self.name}: no sequence")
        for replicon in self.replicons:
            if not re.fullmatch(r"[ACGTRYSWKMBDHVN]+", replicon):
                raise SourceError(f"{self.name}: the sequence holds letters that are no DNA")

    @property
    def length_bp(self) -> int:
        """Letters in all replicons."""
        return sum(len(replicon) for replicon in self.replicons)


def read_phages(cache: Path | None = None) -> list[Genome]:
    """Return the 78 phages of the BASEL collection, by name, with their annotated proteins."""
    phages = [
        _phage(Path(name).stem, content.decode("utf-8"))
        for name, content in members(fetch(LOVIS4U, cache))
        if PHAGE_FOLDER in name and name.endswith(".gff")
    ]
    if len(phages) != 78:
        raise SourceError(f"{LOVIS4U.filename} holds {len(phages)} phages, expected 78")
    return sorted(phages, key=lambda genome: genome.name)


def _phage(name: str, gff: str) -> Genome:
    table, _, fasta = gff.partition("##FASTA\n")
    description, sequences = _fasta(fasta)
    (sequence,) = sequences
    proteins = []
    for line in table.splitlines():
        fields = line.split("\t")
        if len(fields) == 9 and fields[2] == "CDS":
            notes = dict(note.split("=", 1) for note in fields[8].split(";") if "=" in note)
            coding = Seq(sequence[int(fields[3]) - 1 : int(fields[4])])
            coding = coding.reverse_complement() if fields[6] == "-" else coding
            # An annotated start at the end of the linear sequence may leave half a codon over.
            coding = coding[: len(coding) // 3 * 3]
            letters = str(coding.translate(table=CODE)).rstrip("*")
            proteins.append(PhageProtein(notes["ID"], notes["function"], letters))
    return Genome(name, description, (sequence,), tuple(proteins))


def read_hosts(cache: Path | None = None) -> list[Genome]:
    """Return the bacterial genomes of `HOST_FILES`, by name."""
    names = {path: name for name, path in HOST_FILES.items()}
    hosts = []
    for source in (RAGOUT_EXAMPLES, PYRODIGAL):
        for path, content in members(fetch(source, cache)):
            if path in names:
                description, replicons = _fasta(gzip.decompress(content).decode("ascii"))
                hosts.append(Genome(names[path], description, tuple(replicons)))
    missing = HOST_FILES.keys() - {host.name for host in hosts}
    if missing:
        raise SourceError(f"no file for {', '.join(sorted(missing))}")
    return sorted(hosts, key=lambda genome: genome.name)


def _fasta(text: str) -> tuple[str, list[str]]:
    records = list(SeqIO.parse(io.StringIO(text), "fasta"))
    return records[0].description, [str(record.seq).upper() for record in records]


def related_groups(
    proteins: Mapping[str, Iterable[str]], k: int, containment: float
) -> dict[str, str]:
    """Name of the group of each genome: single linkage on shared protein k-mers.

    Two genomes are linked where the smaller k-mer set shares at least `containment` of its k-mers
    with the other. A group bears the name of its first genome and `-like`; a genome without
    relatives is a group of one.
    """
    words = {
        genome: {letters[i : i + k] for letters in found for i in range(len(letters) - k + 1)}
        for genome, found in proteins.items()
    }
    leader = {genome: genome for genome in words}
    for one, other in combinations(sorted(words), 2):
        shared = len(words[one] & words[other])
        if shared >= containment * min(len(words[one]), len(words[other])):
            low, high = sorted((leader[one], leader[other]))
            leader = {genome: low if name == high else name for genome, name in leader.items()}
    return {genome: f"{name}-like" for genome, name in leader.items()}
