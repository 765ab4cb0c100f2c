"""Runs that end themselves by SIGKILL, each at its moment: ``python -m tests.faults.broken_off``.

Moments: ``half-shard`` (half of the second shard is on the disk), ``before-manifest`` (the second
shard has its name, the manifest does not list it), ``half-manifest``. Each run is a fork of one
process that has imported everything and computed nothing, so that no thread is lost by forking.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from pathlib import Path
from typing import IO

import torch

from embedders import describe, load
from harness import files
from harness.features import Manifest, extract, manifest, store

EMBEDDER = "mini-candidate"
MOMENTS = ("half-shard", "before-manifest", "half-manifest")
SECOND = 2


def die() -> None:
    """End this process as a crash would: no handler, no finally, no flush."""
    os.kill(os.getpid(), signal.SIGKILL)


def arm(moment: str) -> None:
    """Make the process end at the moment.

    Raises
    ------
    ValueError
        If there is no such moment.
    """
    shards = 0
    save, write_manifest = torch.save, manifest.write_manifest

    def half(content: object, file: IO[bytes]) -> None:
        nonlocal shards
        shards += 1
        whole = io.BytesIO()
        save(content, whole)
        if shards == SECOND:
            file.write(whole.getvalue()[: len(whole.getvalue()) // 2])
            file.flush()
            die()
        file.write(whole.getvalue())

    def before(folder: Path, grown: Manifest) -> None:
        if len(grown.windows) == SECOND:
            die()
        write_manifest(folder, grown)

    def half_text(path: Path, text: str) -> None:
        if text.count('"number"') == SECOND:
            partial = path.with_name(f".{path.name}.0badcafe{files.PARTIAL_SUFFIX}")
            partial.write_text(text[: len(text) // 2], "utf-8")
            die()
        files.write_text_atomically(path, text)

    if moment == "half-shard":
        vars(torch)["save"] = half
    elif moment == "before-manifest":
        vars(store)["write_manifest"] = before
    elif moment == "half-manifest":
        vars(manifest)["write_text_atomically"] = half_text
    else:
        raise ValueError(f"unknown moment {moment!r}")


def main() -> None:
    """Break a run on ``FASTA`` off at each moment, in the folder ``FOLDER/moment``."""
    fasta, folder = map(Path, sys.argv[1:])
    describe(EMBEDDER)  # imports what loading needs, and loads nothing
    for moment in MOMENTS:
        pid = os.fork()
        if pid == 0:
            arm(moment)
            embedder = load(EMBEDDER, device="cpu")
            extract(fasta, embedder, folder / moment, shard_size=3, progress=False)
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL, (moment, status)


if __name__ == "__main__":
    main()
