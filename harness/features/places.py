"""Where in a file the matrix lies that was mapped from it."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import BinaryIO
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import torch

from harness.features.shards import Place

_STORAGE = re.compile(r"[^/]+/data/[0-9]+")
_BYTE_ORDER = re.compile(r"[^/]+/byteorder")
_LOCAL_HEADER = struct.Struct("<4s5H3L2H")
"""Of a member of a zip archive (APPNOTE 4.3.7); the last two fields are the lengths of the name and
of the extra field that follow it."""
_HEADER_LENGTH = struct.Struct("<Q")


def place_in_archive(path: Path, matrix: torch.Tensor) -> Place | None:
    """Return where a PyTorch file holds the matrix that was loaded from it, if there is no doubt.

    Such a file is a zip archive; each storage is a member ``data/0``, ``data/1`` … without
    compression, in the byte order that the member ``byteorder`` names. A file with several storages
    says only within its pickle which is which, and one from before torch 1.6 is no archive: None.
    """
    if matrix.dtype != torch.float32 or not matrix.is_contiguous():
        return None
    try:
        with ZipFile(path) as archive:
            members = archive.infolist()
    except (BadZipFile, NotImplementedError, ValueError):
        return None
    data = [each for each in members if _STORAGE.fullmatch(each.filename)]
    order = [each for each in members if _BYTE_ORDER.fullmatch(each.filename)]
    if len(data) != 1 or len(order) != 1 or data[0].file_size != matrix.nbytes:
        return None
    with path.open("rb") as file:
        begins, named = _begins(file, data[0]), _begins(file, order[0])
        if begins is None or named is None:
            return None
        file.seek(named)
        little = file.read(order[0].file_size) == b"little"
    return Place(path, begins) if little else None


def place_behind_header(path: Path, matrix: torch.Tensor) -> Place | None:
    """Return where a safetensors file holds its only tensor: behind the header.

    The first 8 bytes of the file are the header's length.
    """
    if matrix.dtype != torch.float32:
        return None
    with path.open("rb") as file:
        (length,) = _HEADER_LENGTH.unpack(file.read(_HEADER_LENGTH.size))
    return Place(path, _HEADER_LENGTH.size + length)


def _begins(file: BinaryIO, member: ZipInfo) -> int | None:
    """Return where a member's bytes begin, None if they are not in the file as they are."""
    if member.compress_type != ZIP_STORED or member.flag_bits & 1:
        return None
    file.seek(member.header_offset)
    header = file.read(_LOCAL_HEADER.size)
    if len(header) < _LOCAL_HEADER.size:
        return None
    # the archive's directory may give another extra field than stands before the bytes
    *_, name_bytes, extra_bytes = _LOCAL_HEADER.unpack(header)
    return member.header_offset + _LOCAL_HEADER.size + int(name_bytes) + int(extra_bytes)
