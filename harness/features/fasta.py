"""FASTA, plain or gzip, one record at a time.

Records are cut out of the text as they are, and not put together from lines. Biopython's
``SimpleFastaParser``, against which the tests compare, is not used because checks have to go
around it, and then every line costs several Python calls; because it holds each line of a record
as a string of its own, at 50 bytes and more, which multiplies a record of short lines; and because
it skips whatever stands before the first ``>``.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from embedders.errors import InputError
from harness.features.duplicates import first_repeat
from harness.features.errors import FastaError
from harness.features.text import (
    BYTE_ORDER_MARK,
    StoredBytes,
    TextBomb,
    TitledBlocks,
    open_text,
)

# named like the fixes of the cleaning policy, beside which they are counted
BYTE_ORDER_MARK_FIX = "byte_order_mark"
BLANK_FIX = "blank"

# Some 400 times the longest protein, and more than any bacterial genome. A record is held in memory
# as it is written, so its title and line ends count; a file without line ends is one long line.
LONGEST_RECORD = 2**24

_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
# what str.strip strips, in ASCII; bytes.strip would leave the four separators
_BLANKS = b" \t\n\r\v\f\x1c\x1d\x1e\x1f"


@dataclass(frozen=True, slots=True)
class Record:
    """One FASTA record.

    ``id`` is the first word of the title line; ``sequence`` is as written, without line ends and
    blanks, and may be empty; ``number`` counts records from 1; ``fixes`` counts what was removed
    on the way: byte-order marks, and blanks within the lines of the sequence.
    """

    id: str
    sequence: str
    number: int
    fixes: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class FastaSurvey:
    """What one pass over a whole, valid file found: its records and the SHA-256 of its bytes.

    The bytes are those on the disk, compressed ones for gzip.
    """

    records: int
    sha256: str

    def __post_init__(self) -> None:
        if self.records < 1:
            raise InputError(f"a FASTA file has at least one record, not {self.records}")


def read_fasta(path: Path, *, expected: FastaSurvey | None = None) -> Iterator[Record]:
    """Yield the records of a FASTA file in order, holding one at a time.

    Gzip is recognised by its first two bytes, whatever the name. LF, CRLF and CR end a line. Ids
    are not compared: :func:`survey_fasta` does that.

    Parameters
    ----------
    path
        Plain or gzip.
    expected
        What an earlier pass found. The bytes are hashed again on the way, and after the last
        record the two are compared; whoever stops before it learns nothing.

    Raises
    ------
    FastaError
        If the file is missing, empty, not ASCII, damaged gzip or gzip that unpacks to too much,
        has text before the first ``>``, a title without an id, or a line or record beyond the
        caps, or is not the expected one. Damage shows when the reading comes to it: use
        :func:`survey_fasta` to know before anything is done.
    """
    digest = hashlib.sha256()
    reading = _Reading(path, digest.update if expected is not None else None)
    for record_id, lines, marks in reading:
        yield _record(record_id, lines, reading.records, marks)
    if expected is None:
        return
    found = FastaSurvey(reading.records, digest.hexdigest())
    if found != expected:
        raise FastaError(
            path,
            f"the file changed during the run: {expected.records} records with SHA-256 "
            f"{expected.sha256} at first, {found.records} with {found.sha256} now",
            "leave the file alone during a run, and run again",
        )


def survey_fasta(path: Path) -> FastaSurvey:
    """Read a whole FASTA file once, so that every error shows before work begins.

    Memory does not grow with the file: ids that outgrow it are compared on the disk.

    Raises
    ------
    FastaError
        As :func:`read_fasta`, and if an id comes twice.
    FolderError
        If the folder for temporary files is full.
    """
    digest = hashlib.sha256()
    reading = _Reading(path, digest.update)
    repeat = first_repeat(record_id for record_id, _, _ in reading)
    if repeat is None:
        return FastaSurvey(reading.records, digest.hexdigest())
    again = _Reading(path)
    next(islice(again, repeat.second - 1, None), None)  # up to that record, to know its place
    raise again.error_at(
        0,
        f"the id comes a second time, first in record {repeat.first}",
        "make the first word of every title line unique",
    )


class _Reading:
    """One pass over a file, which tells records apart and refuses what is no FASTA.

    ``records`` counts those that were yielded. The bytes of the file, as they are stored, are
    shown to ``watch``.
    """

    def __init__(self, path: Path, watch: Callable[[memoryview], object] | None = None) -> None:
        self.records = 0
        self._path = path
        self._watch = watch
        self._blocks = TitledBlocks(LONGEST_RECORD)
        self._block = bytearray()
        self._marks = 0

    def __iter__(self) -> Iterator[tuple[str, bytearray, int]]:
        """Yield id, lines below the title (LF ends them), and byte-order marks left out."""
        try:
            with StoredBytes(self._path, self._watch) as stored, open_text(stored) as text:
                blocks = self._blocks.cut(text)
                self._block = next(blocks)
                self._check_head(self._block)
                for block in blocks:
                    self._block = block
                    self.records += 1
                    if len(block) > LONGEST_RECORD:
                        raise self._too_long("one record")
                    plain = block if block.isascii() else self._unmarked(block)
                    if b"\r" in plain:
                        plain = plain.replace(b"\r", b"\n")  # a CRLF leaves a blank line
                    title, _, lines = plain.partition(b"\n")
                    words = title[1:].decode("ascii").split(maxsplit=1)
                    if not words:
                        raise self.error_at(
                            0, "a title line without an id", "write an id right behind the '>'"
                        )
                    marks, self._marks = self._marks, 0
                    yield words[0], lines, marks
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise self._damage(
                f"damaged gzip after {self.records} whole records ({error})",
                "copy or download the file again",
            ) from error
        except TextBomb as error:
            raise self._damage(
                str(error), "if the file is to be trusted, unpack it and give the plain text"
            ) from error
        except OSError as error:
            raise self._damage(
                f"cannot be read ({error.strerror})", "check the path and its permissions"
            ) from error
        if self.records == 0:
            raise FastaError(
                self._path, "no FASTA record in it", "give a file with at least one record"
            )

    def error_at(self, offset: int, problem: str, remedy: str) -> FastaError:
        """Return the error that lies at a byte of the block that was read last."""
        line, byte = self._blocks.place(offset)
        return FastaError(
            self._path,
            problem,
            remedy,
            record=self.records or None,
            record_id=_id_in(self._block),
            line=line,
            byte=byte,
        )

    def _damage(self, problem: str, remedy: str) -> FastaError:
        """Return the error of a read that failed, which lies behind all that was read."""
        pending = self._blocks.pending
        if self.records == 0 and not pending:
            return FastaError(self._path, problem, remedy)
        self.records += pending.removeprefix(BYTE_ORDER_MARK).startswith(b">")
        # an id is whole if its line is
        self._block = pending if any(end in pending for end in b"\r\n") else bytearray()
        return self.error_at(len(pending), problem, remedy)

    def _check_head(self, head: bytearray) -> None:
        """Refuse what precedes the first title, blank lines and a byte-order mark aside."""
        text = head if head.isascii() else self._unmarked(head)
        rest = text.lstrip(_BLANKS)
        if rest:
            raise self.error_at(
                len(head) - len(rest),
                "text before the first '>'",
                "give a FASTA file, its first record beginning with '>'",
            )
        if len(head) > LONGEST_RECORD:
            raise self._too_long("blank lines before the first '>'")

    def _unmarked(self, block: bytearray) -> bytearray:
        """Return a block without the byte-order mark before it; all else has to be ASCII."""
        mark = len(BYTE_ORDER_MARK) if block.startswith(BYTE_ORDER_MARK) else 0
        text = block[mark:]
        try:
            text.decode("ascii")
        except UnicodeDecodeError as error:
            encoding = "UTF-16" if block.startswith(_UTF16_MARKS) else "not ASCII"
            raise self.error_at(
                mark + error.start,
                f"byte 0x{text[error.start]:02X} in text that is {encoding}",
                "save the file as plain ASCII",
            ) from error
        self._marks += 1
        return text

    def _too_long(self, what: str) -> FastaError:
        one_line = all(self._block.find(end, 0, LONGEST_RECORD) < 0 for end in b"\r\n")
        return self.error_at(
            LONGEST_RECORD,
            f"more than {LONGEST_RECORD:,} characters in {'one line' if one_line else what}",
            "check the line ends, and split or leave out what is so long",
        )


def _record(record_id: str, lines: bytearray, number: int, marks: int) -> Record:
    fixes: Counter[str] = Counter()
    if marks:
        fixes[BYTE_ORDER_MARK_FIX] = marks
    sequence = lines.replace(b"\n", b"")
    # most are letters alone, which is the cheapest way to know that there is no blank
    if not sequence.isalpha() and len(sequence.translate(None, _BLANKS)) < len(sequence):
        sequence, blanks = _without_blanks(lines)
        if blanks:
            fixes[BLANK_FIX] = blanks
    return Record(record_id, sequence.decode("ascii"), number, fixes)


def _without_blanks(lines: bytearray) -> tuple[bytearray, int]:
    """Return the sequence in its lines, and how many blanks stood within it.

    Blanks at the end of a line count as part of its end.
    """
    kept = bytearray()
    for line in io.BytesIO(lines):  # not a list of them, which may be twenty times the text
        kept += line.rstrip(_BLANKS)
    return kept.replace(b" ", b""), kept.count(b" ")


def _id_in(block: bytearray) -> str | None:
    """Return the id in the title line of a block, None if it has none."""
    ends = (block.find(end) for end in b"\r\n")
    end = min((end for end in ends if end >= 0), default=len(block))
    title = block[:end].removeprefix(BYTE_ORDER_MARK)
    if not title.startswith(b">"):
        return None
    return next(iter(title[1:].decode("latin-1").split(maxsplit=1)), None)
