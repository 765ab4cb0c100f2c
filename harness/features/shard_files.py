"""Shards on disk: written whole or not at all, read or refused in one way whatever their form."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import IO

from embedders.errors import InputError, UnsupportedChoice
from harness.features.errors import ShardCorrupt
from harness.features.original_form import read_original, write_original
from harness.features.safetensors_form import read_safetensors, write_safetensors
from harness.features.shards import Shard
from harness.files import write_atomically


class Format(StrEnum):
    """How shards are written; the value is the suffix of their files without its dot.

    ``PT`` is the original pipeline's and the default; ``SAFETENSORS`` holds no pickle.
    """

    PT = "pt"
    SAFETENSORS = "safetensors"


_WRITERS: dict[Format, Callable[[IO[bytes], Shard], None]] = {
    Format.PT: write_original,
    Format.SAFETENSORS: write_safetensors,
}


def write_shard(path: Path, shard: Shard) -> None:
    """Write a shard in the form that the suffix of ``path`` names, whole or not at all.

    The same shard gives the same bytes, whatever the file is called.

    Raises
    ------
    OSError
        If the disk refuses.
    """
    write = _WRITERS[Format(path.suffix.removeprefix("."))]

    def fill(partial: Path) -> None:
        # given a path, torch.save would write that path's random name into the file
        with partial.open("wb") as file:
            write(file, shard)

    write_atomically(path, fill)


def read_shard(path: Path) -> Shard:
    """Read a file of this project or of the original pipeline; nothing in it can run.

    Raises
    ------
    ShardCorrupt
        If the file is missing, damaged, of another form, or contradicts itself.
    UnsupportedChoice
        If this torch is too old to open a foreign file safely.
    """
    named = path.suffix == f".{Format.SAFETENSORS}"
    try:
        return read_safetensors(path) if named else read_original(path)
    except FileNotFoundError as error:
        raise ShardCorrupt(path, "there is no such file") from error
    except UnsupportedChoice:  # too old a torch is no fault of the file
        raise
    except InputError as error:
        raise ShardCorrupt(path, str(error).removeprefix(f"{path}: ")) from error
