"""Weights from the model hub, pinned, through its own client.

``HF_HOME``, ``HF_HUB_OFFLINE`` and ``HF_TOKEN`` mean what the client says they mean.
"""

from __future__ import annotations

import re
from pathlib import Path

from embedders.checkpoints import Checkpoint
from embedders.errors import UnsupportedChoice, WeightsError

_COMMIT = re.compile(r"[0-9a-f]{40}")
_DESCRIPTION = (
    *("config.json", "vocab.txt", "tokenizer.json", "tokenizer_config.json"),
    *("special_tokens_map.json", "spiece.model"),
)
_SAFETENSORS = ("model.safetensors", "model-*.safetensors", "model.safetensors.index.json")
_PYTORCH = ("pytorch_model.bin", "pytorch_model-*.bin", "pytorch_model.bin.index.json")


def check_revision(revision: str) -> str:
    """Accept a full commit hash only: a branch or a tag may mean something else tomorrow.

    Raises
    ------
    UnsupportedChoice
        If it is not 40 hexadecimal digits.
    """
    if not _COMMIT.fullmatch(revision):
        raise UnsupportedChoice(
            f"revision must be a full commit hash of 40 lower-case hex digits, not {revision!r}"
        )
    return revision


def download(checkpoint: Checkpoint, revision: str | None = None, *, code: bool = False) -> Path:
    """Bring a checkpoint's files into the hub cache, or find them there.

    Safetensors are taken where the repository has them; PyTorch files only where it has none.
    With ``code``, Python files come too (they are only brought, not run).

    Returns
    -------
    Path
        The snapshot's folder in the cache.

    Raises
    ------
    UnsupportedChoice
        If the checkpoint is not on the hub.
    WeightsError
        If the hub cannot be reached and the cache has not got it; says what to do.
    """
    if checkpoint.hub_id is None:
        raise UnsupportedChoice(
            f"{checkpoint.name!r} is not on the hub; leave weights out or choose 'mini', "
            "'random' or a folder"
        )
    wanted = checkpoint.revision if revision is None else check_revision(revision)
    described = (*_DESCRIPTION, "*.py") if code else _DESCRIPTION
    folder = _snapshot(checkpoint.hub_id, wanted, (*described, *_SAFETENSORS))
    if not any(folder.glob("model*.safetensors")):
        folder = _snapshot(checkpoint.hub_id, wanted, (*described, *_PYTORCH))
    return folder


def _snapshot(hub_id: str, revision: str | None, patterns: tuple[str, ...]) -> Path:
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - heavy, only for the hub
    from huggingface_hub.errors import HfHubHTTPError  # noqa: PLC0415

    try:
        found = snapshot_download(hub_id, revision=revision, allow_patterns=list(patterns))
    except (OSError, HfHubHTTPError) as error:
        first_line = str(error).partition("\n")[0]
        raise WeightsError(
            f"{hub_id} at {revision or 'main'} is neither in the hub cache nor to be had from "
            f"the hub ({type(error).__name__}: {first_line}); unset HF_HUB_OFFLINE and connect, "
            "set HF_HOME to a cache that has it, give a folder of weights, or use random weights"
        ) from None
    return Path(found)


def folder_revision(folder: Path) -> str | None:
    """Return the commit of a snapshot in the hub cache: its folder's name."""
    return folder.name if _COMMIT.fullmatch(folder.name) else None
