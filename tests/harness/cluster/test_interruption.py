"""A run with a Ray of its own, from the command line, ended from outside."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from embedders import load
from harness.features import extract, read_manifest
from tests.bundled import shortest, write_fasta

LIMIT_S = 300.0


@pytest.mark.slow
def test_an_interrupted_run_leaves_a_folder_to_go_on_from_and_no_process_of_ray(
    tmp_path: Path,
) -> None:
    fasta = write_fasta(tmp_path / "in.faa", shortest(200))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "harness.cli", "embed", str(fasta), "-o", str(out)]
    command += ["--embedder", "esm2-8m", "--weights", "random", "--shard-size", "10"]
    command += ["--tokens-per-batch", "512", "--engine", "ray", "--workers", "1"]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + LIMIT_S
    while not (out / "manifest.json").exists() or not read_manifest(out).windows:
        assert run.poll() is None, run.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    started = psutil.Process(run.pid).children(recursive=True)
    assert len(started) > 3  # Ray itself, the worker, its embedder's process
    run.send_signal(signal.SIGINT)
    said, complaint = run.communicate(timeout=LIMIT_S)
    assert (run.returncode, said) == (130, "")
    assert complaint == "harness embed: error: interrupted; the same command goes on from there\n"
    _, left = psutil.wait_procs(started, timeout=10)
    assert not left
    stood = len(read_manifest(out).windows)
    assert 0 < stood < 20
    embedder = load("esm2-8m", weights="random")
    summary = extract(fasta, embedder, out, tokens_per_batch=512, shard_size=10, progress=False)
    assert summary.resumed == 10 * stood
