"""The ESM vocabulary, and the one cleaning policy of each modality.

The policy exists because the two libraries part ways on odd characters: fair-esm raises
``KeyError`` on ``*``, lower case, ``J`` or a digit, while transformers' tokenizer turns each into
``<unk>`` without a word. Cleaning first makes every runtime see the same residues.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import torch

from embedders.contract import Cleaned
from embedders.errors import InputError, RejectedSequence, UnknownName

VOCABULARY: tuple[str, ...] = (
    *("<cls>", "<pad>", "<eos>", "<unk>"),
    *"LAGVSERTIDPKQNFYMHWCXBUZO.-",
    *("<null_1>", "<mask>"),
)
"""The 33 tokens of ESM-2 in order; a token's id is its index."""

BOS, PADDING, EOS, UNKNOWN = 0, 1, 2, 3
MASK = VOCABULARY.index("<mask>")

PROTEIN_POLICY = "esm-clean-1"
NUCLEOTIDE_POLICY = "dna-clean-1"

_RESIDUES = "ABCDEFGHIKLMNOPQRSTUVWXYZ"  # every letter but J has a token
_NUCLEOTIDES = "ACGTRYSWKMBDHVN"
_BLANKS = " \t\n\r\v\f"
_CLEAN_PROTEIN = re.compile(f"[{_RESIDUES}]+")
_CLEAN_NUCLEOTIDE = re.compile(f"[{_NUCLEOTIDES}]+")
_UPPER = {ord(low): low.upper() for low in "abcdefghijklmnopqrstuvwxyz"}
_SPECIAL_TOKEN = re.compile(r"<[a-z_0-9]+>", re.IGNORECASE)


_Ids = npt.NDArray[np.int64]


def _token_table() -> _Ids:
    table = np.full(256, UNKNOWN, dtype=np.int64)
    for index, token in enumerate(VOCABULARY):
        if len(token) == 1:
            table[ord(token)] = index
    return table


_TOKEN_OF_BYTE = _token_table()


def encode(residues: str) -> torch.Tensor:
    """Turn residues into token ids with BOS and EOS.

    Returns
    -------
    torch.Tensor
        int64 ``(len(residues) + 2,)`` on the CPU.

    Raises
    ------
    InputError
        If a character has no token; clean the sequence first.

    Examples
    --------
    >>> encode("MK").tolist()
    [0, 20, 15, 2]
    """
    return encode_batch([residues])[0][0]


def encode_batch(sequences: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Turn sequences into one padded block of token ids.

    Returns
    -------
    tuple[torch.Tensor, torch.Tensor]
        Tokens, int64 ``(n, longest + 2)``, padded on the right, and the number of residues of
        each row, int64 ``(n,)``; both on the CPU.

    Raises
    ------
    InputError
        If a character has no token or there is no sequence.
    """
    ids, lengths = _ids(sequences)
    column = np.arange(int(lengths.max()) + 2)
    tokens = np.full((len(sequences), column.size), PADDING, dtype=np.int64)
    tokens[:, 0] = BOS
    tokens[(column >= 1) & (column <= lengths[:, None])] = ids
    tokens[np.arange(len(sequences)), lengths + 1] = EOS
    return torch.from_numpy(tokens), torch.from_numpy(lengths)


def encode_joined(sequences: Sequence[str]) -> tuple[_Ids, _Ids]:
    """Turn sequences into one row of token ids, each with its BOS and EOS, without padding.

    Returns
    -------
    tuple[numpy.ndarray, numpy.ndarray]
        Tokens, int64 ``(residues + 2 · n,)``, and the number of residues of each sequence, int64
        ``(n,)``.

    Raises
    ------
    InputError
        If a character has no token or there is no sequence.

    Examples
    --------
    >>> [each.tolist() for each in encode_joined(["MK", "L"])]
    [[0, 20, 15, 2, 0, 4, 2], [2, 1]]
    """
    ids, lengths = _ids(sequences)
    ends = np.cumsum(lengths)
    before, after = ends - lengths, ends
    places = np.stack((before, after), axis=1).ravel()
    return np.insert(ids, places, np.tile((BOS, EOS), len(lengths))), lengths


def _ids(sequences: Sequence[str]) -> tuple[_Ids, _Ids]:
    """Token ids of all residues in one row, and the number of residues of each sequence."""
    if not sequences:
        raise InputError("cannot encode a batch of no sequences")
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    # "replace" writes one "?" per character outside ASCII, so positions stay true
    joined = "".join(sequences).encode("ascii", "replace")
    ids = _TOKEN_OF_BYTE[np.frombuffer(joined, dtype=np.uint8)]
    if (ids == UNKNOWN).any():
        raise InputError(_unknown_character(sequences, int(np.argmax(ids == UNKNOWN))))
    return ids, lengths


def _unknown_character(sequences: Sequence[str], offset: int) -> str:
    for index, sequence in enumerate(sequences):
        if offset < len(sequence):
            return (
                f"sequence {index} has {sequence[offset]!r} at position {offset + 1}, which has "
                "no token; clean it first"
            )
        offset -= len(sequence)
    raise AssertionError("offset lies within the joined sequences")


def clean_protein(sequence: str) -> Cleaned:
    """Apply the protein policy ``esm-clean-1``.

    Fixed and counted: blanks and line ends removed (``blank``), ``-`` and ``.`` removed
    (``gap``), lower case raised (``lower_case``), ``J`` made ``X`` (``j_to_x``), ``*`` at the end
    removed (``stop``). Kept: ``B Z X U O``. Cleaning twice changes nothing more.

    Raises
    ------
    RejectedSequence
        On ``*`` inside, digits, ``>``, NUL, special tokens written out, any other character,
        and when no residue is left; the reason gives the 1-based position.

    Examples
    --------
    >>> clean_protein("mk-tJ*").residues
    'MKTX'
    """
    if _CLEAN_PROTEIN.fullmatch(sequence):
        return Cleaned(sequence)
    fixes: Counter[str] = Counter()
    residues = _drop(sequence, _BLANKS, "blank", fixes)
    residues = _drop(residues, "-.", "gap", fixes)
    residues = _raise_case(residues, fixes)
    residues = _replace(residues, "J", "X", "j_to_x", fixes)
    without_stop = residues.rstrip("*")
    if len(without_stop) != len(residues):
        fixes["stop"] = len(residues) - len(without_stop)
    if not _CLEAN_PROTEIN.fullmatch(without_stop):
        raise RejectedSequence(_reason(sequence, without_stop, _RESIDUES + "J" + _BLANKS + "-."))
    return Cleaned(without_stop, fixes)


def clean_nucleotide(sequence: str) -> Cleaned:
    """Apply the nucleotide policy ``dna-clean-1``.

    Fixed and counted: blanks and line ends removed (``blank``), lower case raised
    (``lower_case``), ``U`` made ``T`` (``u_to_t``), so that RNA and its DNA give one vector.
    Kept: the IUPAC ambiguity codes ``R Y S W K M B D H V N``. Cleaning twice changes nothing
    more.

    Raises
    ------
    RejectedSequence
        On any other character, gaps included, and when no nucleotide is left.

    Examples
    --------
    >>> clean_nucleotide("acg uN").residues
    'ACGTN'
    """
    if _CLEAN_NUCLEOTIDE.fullmatch(sequence):
        return Cleaned(sequence)
    fixes: Counter[str] = Counter()
    nucleotides = _drop(sequence, _BLANKS, "blank", fixes)
    nucleotides = _raise_case(nucleotides, fixes)
    nucleotides = _replace(nucleotides, "U", "T", "u_to_t", fixes)
    if not _CLEAN_NUCLEOTIDE.fullmatch(nucleotides):
        raise RejectedSequence(_reason(sequence, nucleotides, _NUCLEOTIDES + "U" + _BLANKS))
    return Cleaned(nucleotides, fixes)


CLEANING_POLICIES: Mapping[str, Callable[[str], Cleaned]] = MappingProxyType(
    {PROTEIN_POLICY: clean_protein, NUCLEOTIDE_POLICY: clean_nucleotide}
)
"""Each policy by the name that a spec records."""


def cleaning_policy(name: str) -> Callable[[str], Cleaned]:
    """Look a cleaning policy up by its name.

    Raises
    ------
    UnknownName
        If there is none.

    Examples
    --------
    >>> cleaning_policy("esm-clean-1")("mk").residues
    'MK'
    """
    if name not in CLEANING_POLICIES:
        raise UnknownName("cleaning policy", name, CLEANING_POLICIES)
    return CLEANING_POLICIES[name]


def _drop(text: str, characters: str, fix: str, fixes: Counter[str]) -> str:
    kept = text.translate(dict.fromkeys(map(ord, characters)))
    if len(kept) != len(text):
        fixes[fix] = len(text) - len(kept)
    return kept


def _raise_case(text: str, fixes: Counter[str]) -> str:
    # str.upper would also change letters outside ASCII, which are to be rejected as they came
    raised = text.translate(_UPPER)
    touched = sum(old != new for old, new in zip(text, raised, strict=True))
    if touched:
        fixes["lower_case"] = touched
    return raised


def _replace(text: str, old: str, new: str, fix: str, fixes: Counter[str]) -> str:
    count = text.count(old)
    if count:
        fixes[fix] = count
    return text.replace(old, new)


def _reason(sequence: str, remaining: str, accepted: str) -> str:
    if not remaining:
        return "no residue is left after cleaning" if sequence else "the sequence is empty"
    body = sequence.rstrip("*" + _BLANKS + "-.") if "-" in accepted else sequence
    position, character = next(
        (place, char)
        for place, char in enumerate(body, start=1)
        if char.translate(_UPPER) not in accepted
    )
    written_out = _SPECIAL_TOKEN.match(body, position - 1)
    if written_out:
        return f"special token {written_out.group()} written out at position {position}"
    if character == "*":
        return f"stop '*' inside the sequence at position {position}"
    return f"character {character!r} at position {position} is not accepted"
