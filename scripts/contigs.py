"""Contigs cut out of genomes: their open frames, and a draw in which no two are twins."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from Bio.Seq import Seq

from scripts.genomes import CODE, Genome
from scripts.sources import SourceError

CONTIG_BP = 1500
CHUNK_BP = 500
FRAME_BP = 498  # 166 codons: what each of the three offsets leaves of 500 bp
TWIN_BP = 31
TWIN_RESIDUES = 10


@dataclass(frozen=True, slots=True)
class Contig:
    """One piece of a genome; `number` counts the pieces of all its replicons from 1."""

    genome: str
    group: str
    number: int
    replicon: int
    start: int
    sequence: str

    @property
    def id(self) -> str:
        """`<genome>_c<number>`."""
        return f"{self.genome}_c{self.number}"


@dataclass(frozen=True, slots=True)
class Frame:
    """One open reading frame of a chunk: nucleotides in reading direction, and their protein."""

    id: str
    contig: Contig
    nucleotides: str
    protein: str


def cut(genome: Genome, group: str) -> Iterator[Contig]:
    """Yield the genome's pieces of `CONTIG_BP`, end to end; a shorter rest is left out."""
    number = 0
    for replicon, letters in enumerate(genome.replicons):
        for start in range(0, len(letters) - CONTIG_BP + 1, CONTIG_BP):
            number += 1
            piece = letters[start : start + CONTIG_BP]
            yield Contig(genome.name, group, number, replicon, start, piece)


def open_frames(contig: Contig) -> list[Frame]:
    """Return the frames without a stop codon, by chunk, strand and offset.

    A chunk is read in six frames (F and R, offsets 1 to 3) of 166 codons each. The id is
    `<contig>_chunk_<n><F|R><1-3>`.
    """
    frames = []
    for chunk, start in enumerate(range(0, CONTIG_BP, CHUNK_BP), 1):
        forward = Seq(contig.sequence[start : start + CHUNK_BP])
        for strand, read in (("F", forward), ("R", forward.reverse_complement())):
            for offset in range(3):
                nucleotides = read[offset : offset + FRAME_BP]
                protein = str(nucleotides.translate(table=CODE))
                if "*" not in protein:
                    name = f"{contig.id}_chunk_{chunk}{strand}{offset + 1}"
                    frames.append(Frame(name, contig, str(nucleotides), protein))
    return frames


def both_strand_words(sequence: str, k: int = TWIN_BP) -> set[str]:
    """Return the k-mers of a DNA sequence, each as the smaller of itself and its complement."""
    reverse = str(Seq(sequence).reverse_complement())
    last = len(sequence) - k
    return {min(sequence[i : i + k], reverse[last - i : last - i + k]) for i in range(last + 1)}


def protein_words(frames: Iterable[Frame], k: int = TWIN_RESIDUES) -> set[str]:
    """Return the k-mers of the frames' proteins."""
    return {frame.protein[i : i + k] for frame in frames for i in range(len(frame.protein) - k + 1)}


@dataclass(slots=True)
class Draw:
    """Contigs taken so far, no two of which share a 31-mer of DNA or a 10-mer of protein."""

    frames: list[Frame] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    _owner_of_word: dict[str, str] = field(default_factory=dict)

    def take(self, contig: Contig) -> int:
        """Take the contig, or count why not. Returns the number of frames taken."""
        frames = open_frames(contig)
        if not frames:
            self.dropped["drawn, but no open frame"] += 1
            return 0
        # Words of the two alphabets cannot be mistaken for each other: their lengths differ.
        dna, protein = both_strand_words(contig.sequence), protein_words(frames)
        for words, reason in ((dna, "shared DNA"), (protein, "shared protein")):
            owners = {self._owner_of_word[word] for word in words if word in self._owner_of_word}
            if owners:
                where = "another group" if owners - {contig.group} else "its own group"
                self.dropped[f"drawn, but {reason} with a contig of {where}"] += 1
                return 0
        self._owner_of_word |= dict.fromkeys(dna | protein, contig.group)
        self.frames += frames
        return len(frames)

    def fill(self, contigs: Mapping[str, list[Contig]], target: int, seed: int) -> None:
        """Take contigs of `contigs` (by genome) until they give `target` frames or just over.

        The next contig always comes from the group with the fewest frames, and in it from the
        genome with the fewest; within a genome the order is that of a seeded hash, which depends
        on no library's generator. Raises SourceError where the contigs run out.
        """
        queues = {name: _shuffled(queue, seed) for name, queue in contigs.items() if queue}
        group_of = {name: queue[0].group for name, queue in queues.items()}
        per_group: Counter[str] = Counter()
        per_genome: Counter[str] = Counter()
        while per_genome.total() < target:
            if not queues:
                raise SourceError(f"only {per_genome.total()} frames are left of {target}")
            name = min(queues, key=lambda n: (per_group[group_of[n]], per_genome[n], n))
            count = self.take(queues[name].pop())
            per_group[group_of[name]] += count
            per_genome[name] += count
            if not queues[name]:
                del queues[name]


def _shuffled(contigs: list[Contig], seed: int) -> list[Contig]:
    return sorted(contigs, key=lambda c: hashlib.sha256(f"{seed}:{c.id}".encode()).hexdigest())
