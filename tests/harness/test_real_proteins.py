"""Thousands of real proteins, real weights, the real command: what comes out is right."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import EsmModel, EsmTokenizer

from harness.cli import main
from tests.bundled import proteins, write_fasta

WINDOW = 1024


def reference(folder: Path, sequences: list[str]) -> torch.Tensor:
    """Embed one sequence at a time straight on transformers, its own tokenizer included."""
    tokenizer = EsmTokenizer.from_pretrained(str(folder))
    model = EsmModel.from_pretrained(str(folder), add_pooling_layer=False).eval()
    rows = []
    with torch.inference_mode():
        for sequence in sequences:
            tokens = tokenizer(sequence[:WINDOW], return_tensors="pt")
            hidden = model(**tokens).last_hidden_state[0]
            assert len(hidden) == min(len(sequence), WINDOW) + 2
            rows.append(hidden[1:-1].mean(dim=0))
    return torch.stack(rows)


@pytest.mark.weights
@pytest.mark.parametrize(
    "count", [16, pytest.param(2000, marks=pytest.mark.slow)], ids=["few", "two-thousand"]
)
def test_embed_gives_every_id_its_reference_vector(
    count: int, tmp_path: Path, esm2_8m_folder: Path
) -> None:
    wanted = proteins(count)
    fasta = write_fasta(tmp_path / "in.faa", wanted)
    out = tmp_path / "out"
    options = ["--embedder", "esm2-8m", "--weights", str(esm2_8m_folder), "-o", str(out)]
    assert main(["embed", str(fasta), *options, "--shard-size", "700"]) == 0
    found: dict[str, torch.Tensor] = {}
    for shard in sorted(out.glob("*.pt")):
        content = torch.load(shard, weights_only=True)
        found.update(zip(content["proteins"], content["data"], strict=True))
    assert list(found) == list(wanted)
    ours = torch.stack(list(found.values()))
    assert float((ours - reference(esm2_8m_folder, list(wanted.values()))).abs().max()) <= 1e-5
