"""The vocabulary against both libraries, and the cleaning policies row by row."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedders.alphabet import (
    CLEANING_POLICIES,
    EOS,
    MASK,
    PADDING,
    UNKNOWN,
    VOCABULARY,
    clean_nucleotide,
    clean_protein,
    cleaning_policy,
    encode,
    encode_batch,
)
from embedders.errors import InputError, RejectedSequence, UnknownName
from embedders.loading import load

RESIDUES = st.text("ABCDEFGHIKLMNOPQRSTUVWXYZ.-", max_size=60)
CLEAN = st.text("ABCDEFGHIKLMNOPQRSTUVWXYZ", min_size=1, max_size=60)
MESSY = st.text("ACDKJacdkj*-. \t\r\n", max_size=40)


def test_vocabulary_is_that_of_fair_esm() -> None:
    from esm.data import Alphabet  # noqa: PLC0415

    alphabet = Alphabet.from_architecture("ESM-1b")
    assert list(VOCABULARY) == alphabet.all_toks
    assert (alphabet.padding_idx, alphabet.eos_idx, alphabet.mask_idx) == (PADDING, EOS, MASK)


@given(RESIDUES)
def test_encoding_equals_fair_esm(residues: str) -> None:
    from esm.data import Alphabet  # noqa: PLC0415

    alphabet = Alphabet.from_architecture("ESM-1b")
    _, _, tokens = alphabet.get_batch_converter()([("", residues)])
    assert encode(residues).tolist() == tokens[0].tolist()


def test_encoding_equals_the_transformers_tokenizer(tmp_path: Path) -> None:
    from transformers import EsmTokenizer  # noqa: PLC0415

    # the order of the published vocab.txt, written out once more so as not to lean on our own
    published = "<cls> <pad> <eos> <unk> L A G V S E R T I D P K Q N F Y M H W C X B U Z O . - "
    (tmp_path / "vocab.txt").write_text("\n".join([*published.split(), "<null_1>", "<mask>"]))
    tokenizer = EsmTokenizer(str(tmp_path / "vocab.txt"))
    for residues in ("M", "MKTAYIAKQRQISFVKSHFSRQ", "LAGVSERTIDPKQNFYMHWCXBUZO", "A.-C"):
        assert encode(residues).tolist() == tokenizer(residues)["input_ids"]


@given(CLEAN)
def test_tokens_are_residues_plus_two_and_none_is_unknown(residues: str) -> None:
    tokens = encode(clean_protein(residues).residues)
    assert len(tokens) == len(residues) + 2
    assert UNKNOWN not in tokens.tolist()


@given(st.lists(RESIDUES, min_size=1, max_size=6))
def test_a_batch_is_its_rows_padded_on_the_right(sequences: list[str]) -> None:
    tokens, lengths = encode_batch(sequences)
    assert lengths.tolist() == [len(sequence) for sequence in sequences]
    for row, sequence in zip(tokens, sequences, strict=True):
        padding = tokens.shape[1] - len(sequence) - 2
        assert row.tolist() == encode(sequence).tolist() + [PADDING] * padding


def test_a_character_without_token_is_named_with_its_place() -> None:
    with pytest.raises(InputError, match="sequence 1 has 'é' at position 2"):
        encode_batch(["MK", "MéK"])


def test_no_sequences_make_no_batch() -> None:
    with pytest.raises(InputError, match="no sequences"):
        encode_batch([])


@pytest.mark.parametrize(
    ("sequence", "residues", "fixes"),
    [
        ("MKT", "MKT", {}),
        ("mKt", "MKT", {"lower_case": 2}),
        ("MKT*", "MKT", {"stop": 1}),
        ("MKT** \n", "MKT", {"stop": 2, "blank": 2}),
        ("MJjT", "MXXT", {"j_to_x": 2, "lower_case": 1}),
        ("BZXUO", "BZXUO", {}),
        ("M-K.T", "MKT", {"gap": 2}),
        ("M K\tT\r\n", "MKT", {"blank": 4}),
    ],
)
def test_what_the_protein_policy_fixes_and_counts(
    sequence: str, residues: str, fixes: dict[str, int]
) -> None:
    cleaned = clean_protein(sequence)
    assert (cleaned.residues, dict(cleaned.fixes)) == (residues, fixes)


@pytest.mark.parametrize(
    ("sequence", "reason"),
    [
        ("MK*T", r"stop '\*' inside the sequence at position 3"),
        ("MK**-T*", r"stop '\*' inside the sequence at position 3"),
        ("MK1T", "'1' at position 3"),
        ("MK?T", r"'\?' at position 3"),
        ("M<mask>K", "special token <mask> written out at position 2"),
        ("<cls>MK", "special token <cls>"),
        ("MK<pad>", "special token <pad>"),
        ("MKéT", "'é' at position 3"),
        ("MK\u0131T", "'\u0131' at position 3"),
        ("MK\x00T", r"'\\x00' at position 3"),
        ("MK>T", "'>' at position 3"),
        ("", "the sequence is empty"),
        ("*", "no residue is left"),
        (" -\n", "no residue is left"),
    ],
)
def test_what_the_protein_policy_rejects(sequence: str, reason: str) -> None:
    with pytest.raises(RejectedSequence, match=reason):
        clean_protein(sequence)


@given(MESSY)
def test_cleaning_a_protein_twice_changes_nothing_more(sequence: str) -> None:
    try:
        cleaned = clean_protein(sequence)
    except RejectedSequence:
        return
    again = clean_protein(cleaned.residues)
    assert again.residues == cleaned.residues
    assert not again.fixes
    assert set(cleaned.residues) <= set("ABCDEFGHIKLMNOPQRSTUVWXYZ")


@given(st.text(max_size=30))
def test_any_text_is_cleaned_or_rejected_with_a_reason(sequence: str) -> None:
    for policy in (clean_protein, clean_nucleotide):
        try:
            cleaned = policy(sequence)
        except RejectedSequence as error:
            reason = error.reason
        else:
            reason = ""
            assert encode(cleaned.residues).shape[0] > 2
        assert reason or sequence


@pytest.mark.parametrize(
    ("sequence", "nucleotides", "fixes"),
    [
        ("ACGT", "ACGT", {}),
        ("acgu", "ACGT", {"lower_case": 4, "u_to_t": 1}),
        ("AC GT\r\n", "ACGT", {"blank": 3}),
        ("ACGTRYSWKMBDHVN", "ACGTRYSWKMBDHVN", {}),
    ],
)
def test_what_the_nucleotide_policy_fixes_and_counts(
    sequence: str, nucleotides: str, fixes: dict[str, int]
) -> None:
    cleaned = clean_nucleotide(sequence)
    assert (cleaned.residues, dict(cleaned.fixes)) == (nucleotides, fixes)


@pytest.mark.parametrize("sequence", ["ACXT", "AC-GT", "ACG*", "", " ", "AC1", "ACGÜ"])
def test_what_the_nucleotide_policy_rejects(sequence: str) -> None:
    with pytest.raises(RejectedSequence):
        clean_nucleotide(sequence)


def test_a_cleaning_policy_is_found_by_the_name_that_a_spec_records() -> None:
    for name, weights, sequence in (
        ("mini-candidate", None, "mk-tJ*"),
        ("esm2-8m", "random", "mk-tJ*"),
        ("kmer4", None, "acg uNacgt"),
    ):
        embedder = load(name, weights=weights, layers=1 if weights else None, device="cpu")
        cleaner = cleaning_policy(embedder.spec.cleaning_policy)
        assert cleaner(sequence) == embedder.clean(sequence)


def test_an_unknown_cleaning_policy_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownName, match="unknown cleaning policy 'toy'") as refusal:
        cleaning_policy("toy")
    assert all(name in str(refusal.value) for name in CLEANING_POLICIES)
