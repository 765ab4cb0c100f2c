"""What can be loaded, as rows of JSON; and that the public face is cheap to import."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import embedders
from embedders import CHECKPOINTS, RUNTIMES, list_embedders


def test_rows_are_strict_json_in_the_order_of_the_table() -> None:
    rows = json.loads(json.dumps(list_embedders(), allow_nan=False))
    assert [row["name"] for row in rows] == list(CHECKPOINTS)


@pytest.mark.parametrize(
    ("name", "width", "layers", "runtimes"),
    [
        ("esm2-3b", 2560, 36, list(RUNTIMES)),
        ("fastesm2-650", 1280, 33, list(RUNTIMES)),
        ("esmc-300m", 960, 30, ["huggingface", "reference"]),
        ("prott5-xl", 1024, 24, ["huggingface", "reference"]),
        ("dnabert-s", 768, 12, ["huggingface"]),
        ("kmer4", 136, 0, ["numpy"]),
    ],
)
def test_a_row_holds_width_depth_and_runtimes(
    name: str, width: int, layers: int, runtimes: list[str]
) -> None:
    row = next(row for row in list_embedders() if row["name"] == name)
    assert (row["width"], row["layers"], row["runtimes"]) == (width, layers, tuple(runtimes))
    assert row["default_runtime"] in runtimes
    assert row["licence"]


def test_every_public_name_is_there() -> None:
    assert len(set(embedders.__all__)) == len(embedders.__all__)
    assert all(hasattr(embedders, name) for name in embedders.__all__)


def test_importing_the_package_imports_no_model_library() -> None:
    code = (
        "import sys, embedders; "
        "heavy = {'esm', 'transformers', 'huggingface_hub', 'tokenizers'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
