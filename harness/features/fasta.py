"""FASTA, plain or gzip, one record at a time."""

from __future__ import annotations

import gzip
import io
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

from embedders.errors import InputError
from harness.features.errors import FastaError
from harness.provenance import sha256

# named like the fixes of the cleaning policy, beside which they are counted
BYTE_ORDER_MARK_FIX = "byte_order_mark"
BLANK_FIX = "blank"

_GZIP_MAGIC = b"\x1f\x8b"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
# a UTF-8 byte-order mark as it looks once its bytes are read as latin-1
_BYTE_ORDER_MARK = b"\xef\xbb\xbf".decode("latin-1")


@dataclass(frozen=True, slots=True)
class Record:
    """One FASTA record.

    ``id`` is the first word of the title line; ``sequence`` is as written, without line ends and
    blanks, and may be empty; ``number`` counts records from 1; ``fixes`` counts what was removed
    from the lines read since the record before: byte-order marks, and blanks within a sequence.
    """

    id: str
    sequence: str
    number: int
    fixes: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class FastaSurvey:
    """What one pass over a whole, valid file found: its records and the SHA-256 of its bytes."""

    records: int
    sha256: str

    def __post_init__(self) -> None:
        if self.records < 1:
            raise InputError(f"a FASTA file has at least one record, not {self.records}")


def read_fasta(path: Path) -> Iterator[Record]:
    """Yield the records of a FASTA file in order, holding one at a time (and all ids).

    Gzip is recognised by its first two bytes, whatever the name. LF, CRLF and CR end a line.

    Raises
    ------
    FastaError
        If the file is missing, empty, not ASCII, damaged gzip, has text before the first ``>``, a
        title without an id, or an id twice. Damage shows when the reading comes to it: use
        :func:`survey_fasta` to know before anything is done.
    """
    from Bio.SeqIO.FastaIO import SimpleFastaParser  # noqa: PLC0415 - Biopython is heavy

    seen: set[str] = set()
    number = 0
    try:
        with _open(path) as binary:
            lines = _Lines(path, binary)
            for title, sequence in SimpleFastaParser(lines):
                number += 1
                record_id = next(iter(title.split(maxsplit=1)), "")
                if not record_id:
                    raise FastaError(
                        path,
                        "a title line without an id",
                        "write an id right behind the '>'",
                        record=number,
                    )
                if record_id in seen:
                    raise FastaError(
                        path,
                        "the id comes a second time",
                        "make the first word of every title line unique",
                        record=number,
                        record_id=record_id,
                    )
                seen.add(record_id)
                yield Record(record_id, sequence, number, lines.take_fixes())
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise FastaError(
            path,
            f"damaged gzip after {number} whole records ({error})",
            "copy or download the file again",
        ) from error
    except OSError as error:
        raise FastaError(
            path, f"cannot be read ({error.strerror})", "check the path and its permissions"
        ) from error
    if number == 0:
        raise FastaError(path, "no FASTA record in it", "give a file with at least one record")


def survey_fasta(path: Path) -> FastaSurvey:
    """Read a whole FASTA file once, so that every error shows before work begins.

    Raises
    ------
    FastaError
        As :func:`read_fasta`.
    """
    records = sum(1 for _ in read_fasta(path))
    return FastaSurvey(records, sha256(path))


class _Lines(Iterator[str]):
    """Lines of ASCII text that begin with a title line; what they are not is a FastaError.

    Biopython's parser skips whatever stands before the first ``>`` and takes any character, so
    both are watched here, on the way in. Bytes are read as latin-1, one character per byte, and
    line ends are kept, which makes the byte position of a wrong one exact.
    """

    def __init__(self, path: Path, binary: BinaryIO) -> None:
        self._path = path
        # newline="" splits at LF, CRLF and CR and keeps them
        self._text = io.TextIOWrapper(binary, encoding="latin-1", newline="")
        self._position = 0
        self._line = 0
        self._in_records = False
        self._fixes: Counter[str] = Counter()

    def __next__(self) -> str:
        line = next(self._text)
        self._line += 1
        start = self._position
        self._position += len(line)
        marked = line.startswith(_BYTE_ORDER_MARK)
        if marked and (start == 0 or line.startswith(">", len(_BYTE_ORDER_MARK))):
            line = line[len(_BYTE_ORDER_MARK) :]
            start += len(_BYTE_ORDER_MARK)
            self._fixes[BYTE_ORDER_MARK_FIX] += 1
        if not line.isascii():
            self._refuse_non_ascii(line, start)
        if not self._in_records and line.strip():
            if not line.startswith(">"):
                raise FastaError(
                    self._path,
                    f"line {self._line} is text before the first '>'",
                    "give a FASTA file, its first record beginning with '>'",
                )
            self._in_records = True
        if not line.startswith(">") and " " in line:
            blanks = line.rstrip().count(" ")
            if blanks:
                self._fixes[BLANK_FIX] += blanks
        # a mark alone on the first line leaves nothing, but the parser looks at the first character
        return line or "\n"

    def take_fixes(self) -> Counter[str]:
        """Return what was removed since the last call."""
        taken = self._fixes
        self._fixes = Counter()
        return taken

    def _refuse_non_ascii(self, line: str, start: int) -> None:
        offset = next(i for i, character in enumerate(line) if not character.isascii())
        utf16 = start == 0 and line[:2].encode("latin-1") in _UTF16_MARKS
        encoding = "UTF-16" if utf16 else "not ASCII"
        raise FastaError(
            self._path,
            f"byte 0x{ord(line[offset]):02X} at byte position {start + offset}, "
            f"line {self._line}: the text is {encoding}",
            "save the file as plain ASCII",
        )


def _open(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        compressed = file.read(2) == _GZIP_MAGIC
    return cast(BinaryIO, gzip.open(path)) if compressed else path.open("rb")
