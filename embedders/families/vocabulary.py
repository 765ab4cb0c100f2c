"""Which id a tokenizer's own file gives to each residue, to hold our tables against it.

Tokens are made here by tables; a folder's tokenizer is never run. Where it comes along, it must
agree: a table that is off by one token would give vectors that look like any others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from embedders.errors import WeightsError
from embedders.files import read_json

_WORD_START = "▁"
"""SentencePiece writes a blank so; tokenizers of blank-separated residues have it before each."""
_LENGTH_DELIMITED = 2
_FIXED_BYTES = {1: 8, 5: 4}
_PIECE = 1


def check_tokens(folder: Path, expected: Mapping[str, int], name: str) -> None:
    """Hold a table against the tokenizer of a folder, if it has one.

    Parameters
    ----------
    folder
        May have ``tokenizer.json`` or ``spiece.model``.
    expected
        Id of each token, residues and special tokens.
    name
        The checkpoint's, for messages.

    Raises
    ------
    WeightsError
        If the folder's tokenizer has another id for one of them, or cannot be read.
    """
    for file, read in (("tokenizer.json", _read_tokenizer), ("spiece.model", _read_pieces)):
        path = folder / file
        if path.is_file():
            _compare(path, read(path), expected, name)


def _compare(path: Path, stored: Mapping[str, int], expected: Mapping[str, int], name: str) -> None:
    differences = []
    for token, wanted in expected.items():
        came = stored.get(token, stored.get(_WORD_START + token))
        if came != wanted:
            differences.append(f"{token!r} is {'missing' if came is None else came}, not {wanted}")
    if differences:
        raise WeightsError(
            f"{path} is not the tokenizer of {name}: {'; '.join(differences[:5])}"
            f"{' …' if len(differences) > 5 else ''}"
        )


def _read_tokenizer(path: Path) -> dict[str, int]:
    """Vocabulary of a ``tokenizer.json``: tokens by id, or in order with their scores."""
    model = read_json(path).get("model")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    if isinstance(vocabulary, dict):
        return {str(token): index for token, index in vocabulary.items()}
    if isinstance(vocabulary, list) and all(isinstance(each, list) and each for each in vocabulary):
        return {str(token): index for index, (token, *_) in enumerate(vocabulary)}
    raise WeightsError(f"{path} has no vocabulary")


def _read_pieces(path: Path) -> dict[str, int]:
    """Pieces of a SentencePiece model in order: its field 1, whose own field 1 is the text.

    The file is a protocol buffer (protobuf.dev/programming-guides/encoding).
    """
    try:
        pieces = [
            dict(_fields(piece))[_PIECE].decode("utf-8")
            for number, piece in _fields(path.read_bytes())
            if number == _PIECE
        ]
    except (OSError, IndexError, KeyError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read as a SentencePiece model: {error}") from None
    return {piece: index for index, piece in enumerate(pieces)}


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield number and content of the fields of a message; numbers have empty content."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        number, kind = key >> 3, key & 7
        size = _FIXED_BYTES.get(kind, 0)
        if kind == _LENGTH_DELIMITED:
            size, place = _varint(message, place)
        elif kind == 0:
            _, place = _varint(message, place)
        elif kind not in _FIXED_BYTES:
            raise ValueError(f"unknown kind {kind} of field")
        if place + size > len(message):
            raise ValueError("it is cut off")
        yield number, message[place : place + size] if kind == _LENGTH_DELIMITED else b""
        place += size


def _varint(message: bytes, place: int) -> tuple[int, int]:
    """Return a number of seven bits a byte, lowest first, and the place behind it."""
    value = shift = 0
    while True:
        byte = message[place]
        value |= (byte & 0x7F) << shift
        place += 1
        if not byte & 0x80:
            return value, place
        shift += 7
