"""Text files in bounded memory: hashed as stored, unpacked within limits, cut at title lines."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# DEFLATE packs at most 1,032:1 and sequences seldom 20:1: far more is a file made to fill memory
# or time. The first 16 MiB are free, for a small file of a few repeated records harms nobody.
LARGEST_RATIO = 500
RATIO_FREE_BYTES = 2**24
# 1 TiB of text is ten times the largest protein collections; a bomb may well stay below the ratio
LARGEST_TEXT_BYTES = 2**40

READ_BYTES = 2**16
BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_GZIP_MAGIC = b"\x1f\x8b"
_BUFFER_BYTES = 2**16
_LINE_ENDS = b"\r\n"


class TextBomb(Exception):
    """Gzip that unpacks to more than any honest file; the message says how much."""


class StoredBytes(io.FileIO):
    """The bytes of a file as stored, counted as they are read.

    Parameters
    ----------
    path
        The file.
    watch
        Is given every byte, in order: the ``update`` of a hash.
    """

    def __init__(self, path: Path, watch: Callable[[memoryview], object] | None = None) -> None:
        super().__init__(path)
        self.bytes_read = 0
        self._watch = watch

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill ``buffer`` as far as one read goes; a ``BufferedReader`` reads by nothing else."""
        count = super().readinto(buffer) or 0
        self.bytes_read += count
        if self._watch is not None:
            self._watch(memoryview(buffer)[:count])
        return count


def open_text(stored: StoredBytes) -> io.BufferedIOBase:
    """Return the bytes of a text, unpacked if the first two stored bytes are those of gzip.

    Reading raises ``OSError``, ``EOFError`` and ``zlib.error`` where a disk or gzip is damaged,
    and :class:`TextBomb` where gzip unpacks to too much. At its end every stored byte was read.
    """
    plain = io.BufferedReader(stored, _BUFFER_BYTES)
    if not plain.peek(len(_GZIP_MAGIC)).startswith(_GZIP_MAGIC):
        return plain
    return io.BufferedReader(_Unpacked(plain, stored), _BUFFER_BYTES)


class TitledBlocks:
    """Cuts a text in front of its title lines, and knows where in it each block lies.

    A title line begins with ``>``, or with a byte-order mark and ``>``. LF, CRLF and CR end lines.

    Parameters
    ----------
    longest
        How many bytes of a block are held in memory, line ends included.
    """

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._data = bytearray()  # the block that is not yet complete, and what was read with it
        self._begin = 0  # where in it the last block begins
        self._bytes_before = 0
        self._lines_before = 0

    def cut(self, text: io.BufferedIOBase) -> Iterator[bytearray]:
        """Yield what precedes the first title, though it be nothing, then title after title.

        Each comes with the lines below it. A block that is too long is the last, and not whole.
        """
        data = self._data
        while len(data) <= self._longest and (read := text.read1(READ_BYTES)):
            searched = len(data)
            data += read
            for title in self._titles(searched):
                yield data[self._begin : title]
                self._begin = title
            self._lines_before += _count_lines(data, self._begin)
            self._bytes_before += self._begin
            del data[: self._begin]
            self._begin = 0
        yield data[:]

    @property
    def pending(self) -> bytearray:
        """What was read and not yet yielded; after a read that failed, an incomplete block."""
        return self._data[self._begin :]

    def place(self, offset: int) -> tuple[int, int]:
        """Return line (from 1) and position in the text (from 0) of a byte of the last block."""
        end = self._begin + offset
        return self._lines_before + _count_lines(self._data, end) + 1, self._bytes_before + end

    def _titles(self, searched: int) -> Iterator[int]:
        """Yield where titles begin whose ``>`` is not before ``searched``."""
        data = self._data
        at = data.find(b">", searched)
        while at >= 0:
            if at == 0 or data[at - 1] in _LINE_ENDS:
                yield at
            elif data[at - 3 : at] == BYTE_ORDER_MARK and (at == 3 or data[at - 4] in _LINE_ENDS):
                yield at - 3
            at = data.find(b">", at + 1)


def _count_lines(data: bytearray, end: int) -> int:
    """Return how many lines end before ``end``; a CR whose LF is at ``end`` ends none yet."""
    feeds = data.count(b"\n", 0, end)
    returns = data.count(b"\r", 0, end)
    return feeds + returns - (data.count(b"\r\n", 0, end + 1) if returns else 0)


class _Unpacked(io.RawIOBase):
    """What gzip unpacks to, a block at a time, and no more of it than the limits allow."""

    def __init__(self, packed: io.BufferedIOBase, stored: StoredBytes) -> None:
        self._gzip = gzip.GzipFile(fileobj=packed)
        self._stored = stored
        self._bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer)
        block = self._gzip.read1(len(view))
        view[: len(block)] = block
        self._bytes += len(block)
        if self._bytes > max(RATIO_FREE_BYTES, LARGEST_RATIO * self._stored.bytes_read):
            raise TextBomb(
                f"gzip that unpacks to more than {LARGEST_RATIO} times its size "
                f"({self._bytes:,} from {self._stored.bytes_read:,} bytes so far)"
            )
        if self._bytes > LARGEST_TEXT_BYTES:
            raise TextBomb(f"gzip that unpacks to more than {LARGEST_TEXT_BYTES:,} bytes")
        return len(block)
