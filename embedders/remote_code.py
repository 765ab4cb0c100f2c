"""Models that transformers builds from a folder: by its own classes, or by the folder's code.

Code that comes with weights runs with all rights of the caller. It runs only when asked for by
name, only from a local folder or from a hub commit given in full, and never from a third place
that the folder may point to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from embedders.checkpoints import Checkpoint
from embedders.contract import WeightsIdentity
from embedders.errors import UnsupportedChoice, WeightsError
from embedders.files import read_json, sha256_of, verify, weight_files
from embedders.hub import check_revision, download, folder_revision
from embedders.runtimes.encoder import Placement


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A local folder of weights, whether its code may run, and where it came from."""

    path: Path
    source: str
    remote_code: bool
    revision: str | None = None

    def __post_init__(self) -> None:
        # a tokenizer may name code of its own
        for path in (self.path / "config.json", *self.path.glob("tokenizer_config.json")):
            elsewhere = _foreign_code(read_json(path).get("auto_map"))
            if self.remote_code and elsewhere:
                raise WeightsError(
                    f"{path} would run code of other repositories, which no revision pins: "
                    f"{', '.join(elsewhere)}"
                )

    def identity(self) -> WeightsIdentity:
        """SHA-256 over names and bytes of weights, configuration and, if it may run, code."""
        names = [*weight_files(self.path), self.path / "config.json"]
        if self.remote_code:
            names += self.path.glob("*.py")
        whole = hashlib.sha256()
        for path in sorted(names):
            whole.update(f"{path.name}:{sha256_of(path)}\n".encode())
        return WeightsIdentity(self.source, whole.hexdigest(), revision=self.revision)


def find_folder(
    checkpoint: Checkpoint, weights: str, *, remote_code: bool, revision: str | None
) -> ModelFolder:
    """Find a checkpoint's folder, on the hub or locally, and settle whether its code may run.

    Raises
    ------
    UnsupportedChoice
        If remote code is asked for hub weights without a full commit hash, or for weights that
        bring none.
    WeightsError
        If the weights cannot be found.
    """
    if weights in ("mini", "random") or weights.startswith("random:"):
        raise UnsupportedChoice(
            f"{weights!r} weights of {checkpoint.name!r} come with no code; give 'hub' or a folder"
        )
    if weights != "hub":
        if revision is not None:
            raise UnsupportedChoice(f"a revision goes with weights 'hub', not with {weights!r}")
        return ModelFolder(Path(weights), "folder", remote_code)
    if remote_code and revision is None:
        raise UnsupportedChoice(
            f"remote code of {checkpoint.hub_id} runs only at a revision that you name in full: "
            "pass revision=<40 hex digits>"
        )
    if revision is not None:
        check_revision(revision)
    path = download(checkpoint, revision, code=remote_code)
    return ModelFolder(path, "hub", remote_code, folder_revision(path))


def build_model(folder: ModelFolder, placement: Placement, **options: object) -> nn.Module:
    """Build a folder's model with all its weights on the device.

    ``options`` go to ``AutoModel.from_pretrained``.

    Raises
    ------
    WeightsError
        If a weight file differs from its hash, transformers does not know the model, or it would
        leave tensors at random values.
    """
    from transformers import AutoModel  # noqa: PLC0415 - heavy, only here

    for path in weight_files(folder.path):
        verify(path)
    try:
        model, report = AutoModel.from_pretrained(
            str(folder.path),
            trust_remote_code=folder.remote_code,
            output_loading_info=True,
            local_files_only=True,
            **options,
        )
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        first_line = str(error).partition("\n")[0]
        raise WeightsError(
            f"{folder.path} cannot be loaded: {first_line}{_advice(folder)}"
        ) from None
    _check_report(folder, model, report)
    built: nn.Module = model.to(placement.device, placement.dtype)
    _keep_frequencies_float32(built)
    built.eval()
    return built


def _check_report(folder: ModelFolder, model: nn.Module, report: Mapping[str, Any]) -> None:
    # buffers that are missing are computed by the model, and a pooler is never used here
    learnt = {name for name, _ in model.named_parameters() if not name.startswith("pooler.")}
    missing = sorted(learnt & set(report["missing_keys"]))
    misshapen = [str(entry) for entry in report["mismatched_keys"]]
    if missing or misshapen:
        raise WeightsError(
            f"{folder.path} does not fill {len(missing) + len(misshapen)} tensors of the model "
            f"that transformers builds, first {', '.join((missing + misshapen)[:3])}"
            f"{_advice(folder)}"
        )


def _advice(folder: ModelFolder) -> str:
    if folder.remote_code:
        return ""
    return "; if the model needs the code beside its weights, ask for remote_code with a revision"


def _keep_frequencies_float32(model: nn.Module) -> None:
    for module in model.modules():
        frequencies = module._buffers.get("inv_freq")
        if frequencies is not None:
            module._buffers["inv_freq"] = frequencies.to(torch.float32)


def _foreign_code(auto_map: object) -> list[str]:
    """Entries of an ``auto_map`` that point out of the folder, written ``owner/name--module``."""
    entries = auto_map.values() if isinstance(auto_map, dict) else (auto_map,)
    flat = [
        str(part)
        for entry in entries
        for part in (entry if isinstance(entry, (list, tuple)) else (entry,))
    ]
    return sorted({part for part in flat if "--" in part})
