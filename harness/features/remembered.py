"""Token budgets that were found before, remembered for each device and checkpoint.

One small JSON file each in ``token-budgets`` of :func:`embedders.files.cache_folder`, named after
what decides a budget, so that runs at the same time have nothing to disagree about.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from cattrs import transform_error
from cattrs.errors import BaseValidationError
from cattrs.preconf.json import JsonConverter, make_converter

from embedders.contract import EmbedderSpec
from embedders.errors import InputError
from embedders.files import cache_folder
from harness.documents import exact_types, read_json
from harness.features.errors import BudgetError
from harness.features.manifest import library_versions
from harness.files import make_folder, write_text_atomically
from harness.provenance import machine

SCHEMA = "token-budget/1"
FOLDER = "token-budgets"
_REMEDY = "it is found anew and the file is replaced"


@dataclass(frozen=True, slots=True)
class Setting:
    """What decides which budget is the best: where and what is computed, and by which code.

    ``device`` is the model of the GPU, or that of the processor and the number of threads.
    """

    device: str
    embedder: str
    weights_sha256: str
    runtime: str
    attention: str | None
    dtype: str
    truncation: str
    versions: dict[str, str]

    @classmethod
    def of(cls, spec: EmbedderSpec) -> Setting:
        """Return that of an embedder on this machine."""
        return cls(
            device=_device_name(spec.device),
            embedder=spec.name,
            weights_sha256=spec.weights.sha256,
            runtime=spec.runtime,
            attention=spec.attention,
            dtype=spec.dtype,
            truncation=spec.truncation.value,
            versions=library_versions() | dict(spec.versions),
        )

    @property
    def path(self) -> Path:
        """Where its budget is remembered."""
        text = json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)
        digest = hashlib.sha256(text.encode("utf-8")).hexdigest()
        return cache_folder() / FOLDER / f"{digest[:32]}.json"


@dataclass(frozen=True, slots=True)
class Tried:
    """One budget of a search, and the tokens per second that it gave (padding not counted)."""

    tokens_per_batch: int
    tokens_per_s: float


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a search has found for a setting."""

    setting: Setting
    tokens_per_batch: int
    tried: tuple[Tried, ...]
    schema: str = field(default=SCHEMA)

    def __post_init__(self) -> None:
        if self.tokens_per_batch not in {each.tokens_per_batch for each in self.tried}:
            raise InputError(f"tokens_per_batch {self.tokens_per_batch} was never tried")


def recall(setting: Setting) -> Remembered | None:
    """Return what was found before; None if nothing was.

    Raises
    ------
    BudgetError
        If there is a file, but it is damaged or of another setting.
    """
    path = setting.path
    if not path.exists():
        return None
    document = read_json(path, schema=SCHEMA, error=BudgetError, remedy=_REMEDY)
    try:
        found = _converter().structure(document, Remembered)
    except BaseValidationError as error:
        problems = "; ".join(transform_error(error))
        raise BudgetError(f"{path}: {problems}; {_REMEDY}") from error
    if found.setting != setting:
        raise BudgetError(f"{path}: is of another setting than its name says; {_REMEDY}")
    return found


def remember(found: Remembered) -> None:
    """Write what was found, whole or not at all.

    Raises
    ------
    OSError
        If the disk refuses.
    """
    path = found.setting.path
    make_folder(path.parent)
    text = json.dumps(_converter().unstructure(found), indent=1, allow_nan=False)
    write_text_atomically(path, text + "\n")


def _device_name(device: str) -> str:
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    here = machine()
    return f"{here.processor}, {here.torch_threads} threads"


def _converter() -> JsonConverter:
    converter = make_converter(forbid_extra_keys=True)
    exact_types(converter)
    return converter
