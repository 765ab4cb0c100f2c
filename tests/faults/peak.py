"""Embed a file and print the peak of this process's memory: ``python -m tests.faults.peak``."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from embedders import load
from harness.features import extract
from harness.measure import host_peak_rss_bytes


def main() -> None:
    """Run ``FASTA FOLDER SHARD_SIZE EMBEDDER``; print bytes."""
    fasta, folder, size, name = sys.argv[1:]
    torch.set_num_threads(1)
    embedder = load(name, device="cpu")
    extract(Path(fasta), embedder, Path(folder), shard_size=int(size), progress=False)
    sys.stdout.write(f"{host_peak_rss_bytes()}\n")


if __name__ == "__main__":
    main()
