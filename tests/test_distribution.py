"""What is installed works away from the checkout: code, weights, data and command."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

PROGRAM = """
from pathlib import Path
import benchmarks, embedders
from harness.spec import read_spec
assert not Path("benchmarks").exists()
spec = read_spec(benchmarks.DEMO)
assert len(spec.datasets) == 2
for arm in (spec.baseline, spec.candidate):
    embedder = embedders.load(arm.embedder, runtime=arm.runtime, dtype=arm.dtype, device="cpu")
    assert embedder.embed(["MKTAYIAKQR"]).shape == (1, arm.expected_width)
assert (benchmarks.DEMO.parent / "data" / "ATTRIBUTION-proteins.md").is_file()
"""


def test_bundled_weights_and_data_come_with_the_package(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], cwd=tmp_path, check=True)


def test_command_is_installed(tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("harness")
    done = subprocess.run(
        [command, "list", "--json"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert any(row["name"] == "fastesm2-650" for row in json.loads(done.stdout))


def test_metadata_names_licence_and_python() -> None:
    about = metadata.metadata("embedder-migration")
    assert about["License-Expression"] == "MIT"
    assert about["Requires-Python"] == "<3.14,>=3.11"
