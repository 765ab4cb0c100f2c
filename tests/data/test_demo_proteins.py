"""The bundled proteins are what their attribution says: balanced, clean, grouped, small."""

import csv
import gzip
import hashlib
import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DATA = ROOT / "benchmarks" / "data"
FASTA = DATA / "proteins.faa.gz"
TABLE = DATA / "proteins.csv"
ATTRIBUTION = DATA / "ATTRIBUTION-proteins.md"
TRAINING_IDS = ROOT / "embedders" / "mini" / "training-ids.txt.gz"


@pytest.fixture(scope="module")
def records() -> list[tuple[str, str]]:
    with gzip.open(FASTA, "rt", encoding="ascii") as stream:
        blocks = stream.read().split(">")[1:]
    parts = [block.partition("\n") for block in blocks]
    return [(name, "".join(letters.split())) for name, _, letters in parts]


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    with TABLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def training_ids() -> list[str]:
    return gzip.decompress(TRAINING_IDS.read_bytes()).decode("ascii").split()


def test_columns_are_those_of_every_data_set(rows: list[dict[str, str]]) -> None:
    assert list(rows[0]) == ["id", "label", "group", "organism"]
    assert all(all(row.values()) for row in rows)


def test_fasta_and_table_hold_the_same_ids_in_the_same_order(
    records: list[tuple[str, str]], rows: list[dict[str, str]]
) -> None:
    assert [name for name, _ in records] == [row["id"] for row in rows]


def test_classes_are_balanced_at_about_nine_hundred(rows: list[dict[str, str]]) -> None:
    counts = Counter(row["label"] for row in rows)
    assert set(counts) == {"viral", "host"}
    assert all(850 <= count <= 950 for count in counts.values())


def test_no_id_and_no_sequence_occurs_twice(records: list[tuple[str, str]]) -> None:
    assert len({name for name, _ in records}) == len(records)
    assert len({sequence for _, sequence in records}) == len(records)


def test_sequences_are_capital_residues_with_little_x(records: list[tuple[str, str]]) -> None:
    for name, sequence in records:
        assert re.fullmatch("[ACDEFGHIKLMNPQRSTVWYBXZUO]+", sequence), name
        assert len(sequence) >= 20, name
        assert sequence.count("X") <= 0.05 * len(sequence), name


def test_long_proteins_are_in_the_mix(records: list[tuple[str, str]]) -> None:
    lengths = [len(sequence) for _, sequence in records]
    assert sum(length > 1024 for length in lengths) >= 30
    assert sum(lengths) <= 700_000


def test_each_label_has_a_hundred_groups_and_none_dominates(rows: list[dict[str, str]]) -> None:
    for label in ("viral", "host"):
        sizes = Counter(row["group"] for row in rows if row["label"] == label)
        assert len(sizes) >= 100
        assert max(sizes.values()) <= 20


def test_no_group_and_no_organism_has_both_labels(rows: list[dict[str, str]]) -> None:
    for column in ("group", "organism"):
        labels = defaultdict(set)
        for row in rows:
            labels[row[column]].add(row["label"])
        assert all(len(found) == 1 for found in labels.values()), column


def test_an_organism_is_in_one_group(rows: list[dict[str, str]]) -> None:
    groups = defaultdict(set)
    for row in rows:
        groups[row["organism"]].add(row["group"])
    assert all(len(found) == 1 for found in groups.values())


def test_group_names_are_plain(rows: list[dict[str, str]]) -> None:
    assert all(re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", row["group"]) for row in rows)


def test_strains_and_second_names_of_one_virus_are_one_group(rows: list[dict[str, str]]) -> None:
    # Epstein-Barr virus is human herpesvirus 4, human cytomegalovirus is human herpesvirus 5
    # (ICTV); the rest are strains and isolates by their own names.
    group_of = {row["organism"]: row["group"] for row in rows}
    for pattern in (
        "Epstein-Barr",
        "Human cytomegalovirus",
        "African swine",
        "Human herpesvirus 8",
    ):
        found = {group for name, group in group_of.items() if name.startswith(pattern)}
        assert len(found) == 1, pattern


def test_no_protein_shares_half_its_six_letter_words_with_another_group(
    records: list[tuple[str, str]], rows: list[dict[str, str]]
) -> None:
    words = [{s[i : i + 6] for i in range(max(1, len(s) - 5))} for _, s in records]
    owners: dict[str, list[int]] = defaultdict(list)
    for number, found in enumerate(words):
        for word in found:
            owners[word].append(number)
    shared: Counter[tuple[int, int]] = Counter()
    for numbers in owners.values():
        shared.update((a, b) for i, a in enumerate(numbers) for b in numbers[i + 1 :])
    close = [
        (records[a][0], records[b][0])
        for (a, b), count in shared.items()
        if rows[a]["group"] != rows[b]["group"] and 2 * count >= min(len(words[a]), len(words[b]))
    ]
    assert close == []


def test_files_are_small_and_carry_no_time_stamp() -> None:
    assert FASTA.stat().st_size + TABLE.stat().st_size < 700_000
    # RFC 1952: bytes 4 to 7 of a gzip member are its modification time
    assert FASTA.read_bytes()[4:8] == bytes(4)


def test_attribution_states_licence_counts_and_hashes(rows: list[dict[str, str]]) -> None:
    text = ATTRIBUTION.read_text(encoding="utf-8")
    assert "CC BY 4.0" in text
    assert "UniProt" in text
    for label, count in Counter(row["label"] for row in rows).items():
        groups = len({row["group"] for row in rows if row["label"] == label})
        assert f"| {label} | {count} | {groups} |" in text
    for path in (FASTA, TABLE):
        assert f"| {path.name} | `{hashlib.sha256(path.read_bytes()).hexdigest()}` |" in text


def test_no_demo_protein_was_trained_on(
    records: list[tuple[str, str]], training_ids: list[str]
) -> None:
    assert len(training_ids) > 10_000
    assert len(set(training_ids)) == len(training_ids)
    assert not {name for name, _ in records} & set(training_ids)
    assert TRAINING_IDS.stat().st_size < 100_000
