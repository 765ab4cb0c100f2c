"""Ids of the six reading frames of a contig's chunks."""

from __future__ import annotations

import re
from dataclasses import dataclass

from embedders.errors import InputError

_FRAME = re.compile(r"(?P<contig>.+)_chunk_(?P<chunk>[0-9]+)(?P<frame>[FR][1-3])", re.ASCII)


@dataclass(frozen=True, slots=True)
class FrameId:
    """One reading frame of one chunk of a contig.

    ``frame`` is the strand, ``F`` or ``R``, and the offset, 1 to 3.

    Examples
    --------
    >>> FrameId.parse("NC_029549.1_chunk_2R2")
    FrameId(contig='NC_029549.1', chunk=2, frame='R2')
    >>> str(FrameId("NC_029549.1", 2, "R2"))
    'NC_029549.1_chunk_2R2'
    """

    contig: str
    chunk: int
    frame: str

    def __post_init__(self) -> None:
        if _FRAME.fullmatch(str(self)) is None:
            raise InputError(
                f"{str(self)!r} is no frame id; expected <contig>_chunk_<n><F|R><1-3>, "
                "e.g. 'NC_029549.1_chunk_2R2'"
            )

    def __str__(self) -> str:
        return f"{self.contig}_chunk_{self.chunk}{self.frame}"

    @classmethod
    def parse(cls, text: str) -> FrameId:
        """Read a frame id.

        Raises
        ------
        InputError
            If ``text`` is none.
        """
        match = _FRAME.fullmatch(text)
        if match is None:
            raise InputError(
                f"{text!r} is no frame id; expected <contig>_chunk_<n><F|R><1-3>, "
                "e.g. 'NC_029549.1_chunk_2R2'"
            )
        return cls(match["contig"], int(match["chunk"]), match["frame"])


def contig_of(text: str) -> str:
    """Return the contig an id belongs to; an id that is no frame id is its own contig.

    Examples
    --------
    >>> contig_of("NC_029549.1_chunk_2R2")
    'NC_029549.1'
    >>> contig_of("P12345")
    'P12345'
    """
    match = _FRAME.fullmatch(text)
    return text if match is None else match["contig"]
