"""Kill a run again and again until it is done: ``python -m tests.faults.killing``.

Everything is imported and loaded once; each attempt is a fork of that state, so that a kill costs
the time until it comes and not another import of torch. One thread, because threads do not
survive a fork. It prints JSON: the kills, and for each folder the windows that stood after each.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from embedders import Embedder, load
from harness.features import extract, read_manifest

POLL_S = 0.002
NO_LIMIT_S = 3600.0


def attempt(fasta: Path, embedder: Embedder, folder: Path, size: int, limit_s: float) -> bool:
    """Run in a fork, killed after ``limit_s``; tell whether it came to its end before."""
    pid = os.fork()
    if pid == 0:
        extract(fasta, embedder, folder, shard_size=size, progress=False)
        os._exit(0)
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            assert os.waitstatus_to_exitcode(status) == 0, status
            return True
        time.sleep(POLL_S)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    # it may have ended between the last look and the kill
    return os.waitstatus_to_exitcode(status) == 0


def windows(folder: Path) -> int:
    """Count the windows that the manifest vouches for."""
    return len(read_manifest(folder).windows) if (folder / "manifest.json").exists() else 0


def main() -> None:
    """Run unbroken into ``FOLDER/unbroken`` and killed into ``FOLDER/killed-1``, ``-2`` …

    A run that is done before it was killed often enough is followed by another.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("fasta", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, required=True)
    parser.add_argument("--embedder", default="mini-candidate")
    parser.add_argument("--weights")
    parser.add_argument("--shard-size", type=int, default=25)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    embedder = load(options.embedder, weights=options.weights, device="cpu")
    size = options.shard_size
    started = time.monotonic()
    assert attempt(options.fasta, embedder, options.folder / "unbroken", size, NO_LIMIT_S)
    whole_s = time.monotonic() - started
    draw = random.Random(options.seed)
    stood: list[list[int]] = []
    kills = 0
    while kills < options.kills:
        stood.append([])
        folder = options.folder / f"killed-{len(stood)}"
        while True:
            # on average, all kills together take half of what an unbroken run takes
            more = kills < options.kills
            limit_s = draw.uniform(0.0, whole_s / options.kills) if more else NO_LIMIT_S
            if attempt(options.fasta, embedder, folder, size, limit_s):
                break
            kills += 1
            stood[-1].append(windows(folder))
    report = {"kills": kills, "stood": stood, "unbroken_s": whole_s}
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main()
