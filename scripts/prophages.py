"""Where bacterial genomes carry phage genes: a search with known phage proteins."""

import re
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.contigs import Contig
from scripts.genomes import Genome, PhageProtein
from scripts.sources import SourceError
from scripts.uniprot import Protein

MMSEQS_VERSION = "14-7e284"  # Debian's mmseqs2 of the same release as its examples
SEARCH = ("-s", "7.5", "-e", "0.001", "--max-seqs", "2000")
# A host has proteins like a phage's polymerase or nuclease anywhere; these it has with a prophage.
HALLMARKS = frozenset(
    {"head and packaging", "connector", "tail", "lysis", "integration and excision"}
)
FLANK_BP = 1_000  # around any hit
PROPHAGE_BP = 20_000  # around a hallmark: half a prophage of common size on either side
_PHAGE = re.compile(r"(?<!macro)phage", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Hit:
    """One match of a phage protein in a replicon, 0-based, end excluded."""

    start: int
    end: int
    is_hallmark: bool


def phage_queries(phages: Iterable[Genome], database: Iterable[Protein]) -> list[PhageProtein]:
    """Return the phages' proteins and the database's whose organism or product names a phage.

    A sequence comes once, as a hallmark where any of its copies is one. A database protein has no
    functional category; it counts as a hallmark, on the safe side.
    """
    hallmark = min(HALLMARKS)
    queries = [protein for phage in phages for protein in phage.proteins]
    queries += [
        PhageProtein(protein.accession, hallmark, protein.sequence)
        for protein in database
        if _PHAGE.search(protein.organism) or _PHAGE.search(protein.product)
    ]
    queries.sort(key=lambda query: query.function not in HALLMARKS)
    once: dict[str, PhageProtein] = {}
    for query in queries:
        once.setdefault(query.sequence, query)
    return list(once.values())


def find_hits(hosts: Iterable[Genome], queries: Iterable[PhageProtein]) -> dict[str, list[Hit]]:
    """Return the matches in each replicon, by `<genome>|<replicon>`: `mmseqs easy-search`.

    Raises SourceError where mmseqs is missing, fails, or is another version.
    """
    _require_mmseqs()
    function_of = {query.id: query.function for query in queries}
    hits: dict[str, list[Hit]] = {}
    with tempfile.TemporaryDirectory(prefix="prophages-") as name:
        folder = Path(name)
        (folder / "queries.faa").write_text(
            "".join(f">{query.id}\n{query.sequence}\n" for query in queries), encoding="ascii"
        )
        with (folder / "hosts.fna").open("w", encoding="ascii") as stream:
            for host in hosts:
                for index, replicon in enumerate(host.replicons):
                    hits[f"{host.name}|{index}"] = []
                    stream.write(f">{host.name}|{index}\n{replicon}\n")
        command = [
            *("mmseqs", "easy-search", "queries.faa", "hosts.fna", "hits.tsv", "scratch"),
            *(*SEARCH, "--format-output", "query,target,tstart,tend", "-v", "1"),
        ]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SourceError(f"`{' '.join(command)}` ended with {done.returncode}\n{done.stderr}")
        for line in (folder / "hits.tsv").read_text(encoding="ascii").splitlines():
            query, target, *ends = line.split("\t")
            start, end = sorted(int(position) for position in ends)
            hits[target].append(Hit(start - 1, end, function_of[query] in HALLMARKS))
    return hits


def _require_mmseqs() -> None:
    try:
        done = subprocess.run(["mmseqs", "version"], capture_output=True, text=True, check=False)
    except FileNotFoundError as missing:
        raise SourceError("mmseqs is not installed: `apt-get install mmseqs2`") from missing
    found = done.stdout.strip()
    if not found.startswith(MMSEQS_VERSION):
        raise SourceError(f"mmseqs is {found}, expected {MMSEQS_VERSION}: its hits differ")


def is_phage_like(contig: Contig, hits: Mapping[str, list[Hit]]) -> bool:
    """Tell whether the contig lies within reach of a match of its replicon."""
    end = contig.start + len(contig.sequence)
    return any(
        contig.start - reach < hit.end and hit.start < end + reach
        for hit in hits[f"{contig.genome}|{contig.replicon}"]
        for reach in (PROPHAGE_BP if hit.is_hallmark else FLANK_BP,)
    )
