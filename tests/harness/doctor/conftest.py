"""A hub cache laid out as the hub's client lays it out, and migration files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from embedders import checkpoint

ROOT = Path(__file__).parents[3]
DEMO = ROOT / "benchmarks" / "demo.toml"
REAL = ROOT / "migrations" / "esm2-3b_to_fastesm2-650.toml"

Setting = Callable[[str, str], Path]


def describe(folder: Path, name: str) -> None:
    """Write the ``config.json`` that a checkpoint has on the hub."""
    row = checkpoint(name)
    config = {
        "num_hidden_layers": row.layers,
        "hidden_size": row.width,
        "num_attention_heads": row.heads,
        "intermediate_size": 4 * row.width,
        "vocab_size": 33,
        "position_embedding_type": "rotary",
        "layer_norm_eps": 1e-5,
        "emb_layer_norm_before": False,
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


def put_in_cache(cache: Path, name: str, revision: str | None = None) -> Path:
    """Put a snapshot with one small tensor into a cache; return its weights' blob."""
    row = checkpoint(name)
    repository = cache / f"models--{str(row.hub_id).replace('/', '--')}"
    snapshot = repository / "snapshots" / str(revision or row.revision)
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir(exist_ok=True)
    content = save({"esm.embeddings.word_embeddings.weight": torch.ones(33, 8)})
    blob = repository / "blobs" / hashlib.sha256(content).hexdigest()
    blob.write_bytes(content)
    (snapshot / "model.safetensors").symlink_to(blob)
    describe(snapshot, name)
    return blob


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache, offline: the client reads both settings when it is imported."""
    from huggingface_hub import constants  # noqa: PLC0415 - its constants are to be replaced

    folder = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    return folder


@pytest.fixture
def demo_with(tmp_path: Path) -> Setting:
    """Return the demo migration with one line replaced, in a file of its own."""

    def write(before: str, after: str) -> Path:
        text = DEMO.read_text(encoding="utf-8")
        assert before in text
        text = text.replace(before, after, 1).replace('"data/', f'"{DEMO.parent.as_posix()}/data/')
        path = tmp_path / "changed.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write
