"""The bundled contigs: counts, ids, translation, groups without twins, size."""

import csv
import gzip
import hashlib
import io
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from importlib import resources

import pytest
from Bio import SeqIO
from Bio.Seq import Seq

DATA = resources.files("benchmarks.data")
FILES = ("contigs.fna.gz", "contigs.faa.gz", "contigs.csv")
CODONS = 166
TWIN_BP = 31
TWIN_RESIDUES = 10


@dataclass(frozen=True, slots=True)
class Row:
    id: str
    label: str
    group: str
    genome: str
    contig: str


def _fasta(name: str) -> dict[str, str]:
    text = gzip.decompress(DATA.joinpath(name).read_bytes()).decode("ascii")
    records = list(SeqIO.parse(io.StringIO(text), "fasta"))
    assert len({record.id for record in records}) == len(records)
    return {record.id: str(record.seq) for record in records}


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    text = DATA.joinpath("contigs.csv").read_text(encoding="ascii")
    return [Row(**row) for row in csv.DictReader(io.StringIO(text))]


@pytest.fixture(scope="module")
def nucleotides() -> dict[str, str]:
    return _fasta("contigs.fna.gz")


@pytest.fixture(scope="module")
def proteins() -> dict[str, str]:
    return _fasta("contigs.faa.gz")


def _groups(rows: list[Row], label: str) -> set[str]:
    return {row.group for row in rows if row.label == label}


def _shared_words(rows: list[Row], words_of: dict[str, set[str]]) -> int:
    """Count how often a word turns up in a further contig."""
    per_contig: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        per_contig[row.contig] |= words_of[row.id]
    return sum(map(len, per_contig.values())) - len(set().union(*per_contig.values()))


def test_each_class_has_about_a_thousand_frames(rows: list[Row]) -> None:
    counts = Counter(row.label for row in rows)
    assert set(counts) == {"viral", "host"}
    assert all(900 <= count <= 1100 for count in counts.values())


def test_the_three_files_list_the_same_ids_in_the_same_order(
    rows: list[Row], nucleotides: dict[str, str], proteins: dict[str, str]
) -> None:
    ids = [row.id for row in rows]
    assert list(nucleotides) == ids
    assert list(proteins) == ids


def test_ids_are_contig_chunk_strand_and_offset(rows: list[Row]) -> None:
    for row in rows:
        match = re.fullmatch(r"(.+)_chunk_([1-3])([FR])([1-3])", row.id)
        assert match is not None, row.id
        assert match[1] == row.contig
        assert re.fullmatch(rf"{re.escape(row.genome)}_c[1-9][0-9]*", row.contig)


def test_nucleotides_are_166_plain_codons(nucleotides: dict[str, str]) -> None:
    assert {len(letters) for letters in nucleotides.values()} == {3 * CODONS}
    assert set("".join(nucleotides.values())) == set("ACGT")


def test_proteins_are_166_standard_residues_without_a_stop(proteins: dict[str, str]) -> None:
    assert {len(letters) for letters in proteins.values()} == {CODONS}
    assert set("".join(proteins.values())) <= set("ACDEFGHIKLMNPQRSTVWY")


def test_nucleotides_translate_to_exactly_the_protein(
    nucleotides: dict[str, str], proteins: dict[str, str]
) -> None:
    for name, letters in nucleotides.items():
        assert str(Seq(letters).translate(table=11)) == proteins[name], name


def test_frames_of_one_chunk_overlap_as_their_offsets_say(nucleotides: dict[str, str]) -> None:
    # Frame F1 starts one base before F2, so all but its first base is F2's beginning; R likewise.
    checked = 0
    for name, letters in nucleotides.items():
        for step in (1, 2):
            other = nucleotides.get(f"{name[:-1]}{int(name[-1]) + step}")
            if other is not None:
                assert letters[step:] == other[:-step], name
                checked += 1
    assert checked > 0


def test_the_strands_of_one_chunk_are_reverse_complements(nucleotides: dict[str, str]) -> None:
    # Read backwards, R of offset r starts at base 3 - r of the chunk; F of offset f at base f - 1.
    checked = 0
    for name, letters in nucleotides.items():
        if name[-2] != "F":
            continue
        for offset in (1, 2, 3):
            reverse = nucleotides.get(f"{name[:-2]}R{offset}")
            if reverse is None:
                continue
            shift = int(name[-1]) + offset - 4
            turned = str(Seq(reverse).reverse_complement())
            if shift >= 0:
                assert letters[: 498 - shift] == turned[shift:], name
            else:
                assert letters[-shift:] == turned[: 498 + shift], name
            checked += 1
    assert checked > 0


def test_no_sequence_occurs_twice(nucleotides: dict[str, str], proteins: dict[str, str]) -> None:
    assert len(set(nucleotides.values())) == len(nucleotides)
    assert len(set(proteins.values())) == len(proteins)


def test_no_group_genome_or_contig_has_both_labels(rows: list[Row]) -> None:
    for key in ("group", "genome", "contig"):
        labels = defaultdict(set)
        for row in rows:
            labels[getattr(row, key)].add(row.label)
        assert all(len(found) == 1 for found in labels.values()), key


def test_each_genome_lies_in_one_group(rows: list[Row]) -> None:
    groups = defaultdict(set)
    for row in rows:
        groups[row.genome].add(row.group)
    assert all(len(found) == 1 for found in groups.values())


def test_there_are_groups_enough_to_split_by(rows: list[Row]) -> None:
    assert len(_groups(rows, "host")) >= 12
    assert len(_groups(rows, "viral")) >= 8


def test_no_group_has_a_quarter_of_its_class(rows: list[Row]) -> None:
    per_group = Counter(row.group for row in rows)
    per_class = Counter(row.label for row in rows)
    for label in ("viral", "host"):
        assert max(per_group[group] for group in _groups(rows, label)) < per_class[label] / 4


def test_the_phages_own_host_is_among_the_bacteria(rows: list[Row]) -> None:
    assert {"Ecoli-MG1655", "Ecoli-DH1"} <= _groups(rows, "host")


def test_no_31_mer_of_dna_is_shared_by_two_contigs(
    rows: list[Row], nucleotides: dict[str, str]
) -> None:
    words_of = {}
    for name, letters in nucleotides.items():
        both = (letters, str(Seq(letters).reverse_complement()))
        words_of[name] = {
            strand[i : i + TWIN_BP] for strand in both for i in range(len(letters) - TWIN_BP + 1)
        }
    assert _shared_words(rows, words_of) == 0


def test_no_10_mer_of_protein_is_shared_by_two_contigs(
    rows: list[Row], proteins: dict[str, str]
) -> None:
    words_of = {
        name: {letters[i : i + TWIN_RESIDUES] for i in range(CODONS - TWIN_RESIDUES + 1)}
        for name, letters in proteins.items()
    }
    assert _shared_words(rows, words_of) == 0


def test_the_files_are_small_and_carry_no_time_stamp() -> None:
    contents = {name: DATA.joinpath(name).read_bytes() for name in FILES}
    assert sum(len(content) for content in contents.values()) < 900_000
    for name, content in contents.items():
        if name.endswith(".gz"):
            # RFC 1952: byte 3 holds the flags (8 would mean a file name), bytes 4 to 7 the time.
            assert content[3] == 0, name
            assert content[4:8] == b"\0\0\0\0", name


def test_the_attribution_names_sources_and_hashes_of_these_very_files() -> None:
    page = DATA.joinpath("ATTRIBUTION-contigs.md").read_text(encoding="utf-8")
    for source in ("lovis4u", "ragout-examples", "pyrodigal", "pbio.3001424"):
        assert source in page
    for name in FILES:
        digest = hashlib.sha256(DATA.joinpath(name).read_bytes()).hexdigest()
        assert f"| {name} | `{digest}` |" in page
