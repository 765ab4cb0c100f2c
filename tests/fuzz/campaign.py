"""A bounded campaign of atheris on one target: ``python -m tests.fuzz.campaign fasta -s 120``.

Coverage of the readers' own code guides it. Ends with libFuzzer's count of inputs; anything but
the documented error ends it at once, with the input in a file beside.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["harness", "embedders"]):
    from tests.fuzz.targets import TARGETS, repair_zip


def main() -> None:
    """Run ``TARGET [-s SECONDS] [--seed N]``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("-s", "--seconds", type=int, default=120)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    target = TARGETS[options.target]
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        corpus, scratch = Path(name) / "corpus", Path(name) / "scratch"
        corpus.mkdir()
        scratch.mkdir()
        for number, seed in enumerate(target.seeds):
            (corpus / str(number)).write_bytes(seed)

        def try_one(data: bytes) -> None:
            target(data, scratch)
            if data[:2] == b"PK":
                target(repair_zip(data), scratch)

        atheris.Setup(
            [
                *(sys.argv[0], str(corpus), f"-max_total_time={options.seconds}"),
                *("-print_final_stats=1", f"-seed={options.seed}", "-max_len=8192"),
                *("-rss_limit_mb=4096", "-timeout=20", "-verbosity=1"),
            ],
            try_one,
        )
        atheris.Fuzz()


if __name__ == "__main__":
    main()
