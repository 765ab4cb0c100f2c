"""A folder with one fine-tuned encoder: its adapter, its merged weights, and how it came about."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from classifier import Epoch
from embedders.opened import hub_config, hub_tensors, vocabulary_text
from embedders.placement import choose_device
from harness import learnt
from harness.documents import read_json
from harness.files import make_folder, write_atomically, write_text_atomically
from harness.provenance import Provenance, sha256
from harness.results import to_json
from harness.tuning.adapter import ADAPTER_FILES, check_peft
from harness.tuning.errors import TuningError
from harness.tuning.lock import locked
from harness.tuning.proteins import Proteins
from harness.tuning.recipe import TuningRecipe
from harness.tuning.state import Plan, check_plan
from harness.tuning.training import plan_of, tune
from harness.tuning.tuned import Start, Tuned

SCHEMA = "embedder-migration/finetune/1"
RECORD_FILE = "finetune.json"
STATE_FILE = "state.safetensors"
ADAPTER_FOLDER = "adapter"
WEIGHTS_FOLDER = "weights"
HEAD_FILE = "head.safetensors"

_OURS = {RECORD_FILE, STATE_FILE, ADAPTER_FOLDER, WEIGHTS_FOLDER, HEAD_FILE}


@dataclass(frozen=True, slots=True)
class Finetuned:
    """What a folder holds; ``history[0]`` is the encoder as it was.

    ``learnt`` counts the numbers that were learnt in the encoder, out of ``parameters``; those of
    the head come on top. ``rows`` were learnt from or watched by. ``files`` has each one's SHA-256.
    """

    schema: str
    plan: Plan
    history: tuple[Epoch, ...]
    best_epoch: int
    learnt: int
    parameters: int
    rows: int
    files: Mapping[str, str]
    provenance: Provenance


def finetune(
    proteins: Proteins,
    start: Start,
    recipe: TuningRecipe,
    folder: Path,
    *,
    seed: int,
    origin: Callable[[], Provenance],
    progress: bool = False,
) -> dict[str, Any]:
    """Fine-tune into a folder that is new, empty, or begun by the same call; return its record.

    After a break at any moment the same call goes on from the last finished epoch, and leaves
    the weights of an unbroken one, byte for byte. Of a folder that is whole the record is returned.

    Parameters
    ----------
    proteins, start, recipe, seed, progress
        As in :func:`harness.tuning.tune`.
    folder
        Where to.
    origin
        Called at the end, for the record.

    Raises
    ------
    TuningError
        If the folder holds anything else, is of other arguments (the message says which), was
        changed or is being written; and as :func:`harness.tuning.tune`.
    """
    check_peft()
    plan = plan_of(proteins, start, recipe, seed=seed, weights=_identity(start))
    with locked(folder, _OURS):
        if (folder / RECORD_FILE).exists():
            found = _read(folder)
            check_plan(folder / RECORD_FILE, found["plan"], plan)
            _verify(folder, found["files"])
            (folder / STATE_FILE).unlink(missing_ok=True)
            return found
        tuned = tune(
            proteins, start, recipe, seed=seed, state=folder / STATE_FILE, progress=progress
        )
        written = write_tuned(tuned, proteins, start, folder)
        record = Finetuned(
            schema=SCHEMA,
            plan=plan,
            history=tuned.history,
            best_epoch=tuned.best_epoch,
            learnt=tuned.adapter_parameters,
            parameters=tuned.parameters,
            rows=len(proteins),
            files={path.relative_to(folder).as_posix(): sha256(path) for path in written},
            provenance=origin(),
        )
        write_text_atomically(folder / RECORD_FILE, to_json(asdict(record)))
        (folder / STATE_FILE).unlink()
        return _read(folder)


def write_tuned(tuned: Tuned, proteins: Proteins, start: Start, folder: Path) -> list[Path]:
    """Write adapter, head and merged weights, each file whole or not at all; return the files.

    What the weights have learnt from is listed before they are there.
    """
    from safetensors.torch import save_file  # noqa: PLC0415

    adapter = folder / ADAPTER_FOLDER
    make_folder(adapter)
    with tempfile.TemporaryDirectory() as scratch:
        tuned.adapter.save(Path(scratch))
        for name in ADAPTER_FILES:
            content = (Path(scratch) / name).read_bytes()
            write_atomically(adapter / name, partial(_write, content))
    head = {name: value.cpu() for name, value in tuned.head.state_dict().items()}
    write_atomically(folder / HEAD_FILE, partial(save_file, head))
    weights = folder / WEIGHTS_FOLDER
    make_folder(weights)
    known = learnt.write_learnt(weights, proteins.residues, start=start.weights)
    merged = write_weights(tuned, start, weights)
    return [*(adapter / name for name in ADAPTER_FILES), folder / HEAD_FILE, known, *merged]


def write_weights(tuned: Tuned, start: Start, folder: Path) -> list[Path]:
    """Write the encoder with its adapters merged in, laid out like the hub's; return the files.

    ``harness embed --weights FOLDER`` and :func:`embedders.load` take it in every runtime.
    """
    from safetensors.torch import save_file  # noqa: PLC0415

    make_folder(folder)
    stored = start.tensors(tuned.encoder.device)
    merged = hub_tensors(tuned.architecture, tuned.adapter.changed(stored))
    paths = [folder / name for name in ("config.json", "vocab.txt", "model.safetensors")]
    write_text_atomically(paths[0], to_json(hub_config(tuned.architecture)))
    write_text_atomically(paths[1], vocabulary_text())
    write_atomically(paths[2], partial(save_file, merged, metadata={"format": "pt"}))
    return paths


def _write(content: bytes, path: Path) -> None:
    path.write_bytes(content)


def _verify(folder: Path, files: Mapping[str, str]) -> None:
    for name, promised in files.items():
        path = folder / name
        if not path.is_file() or sha256(path) != promised:
            raise TuningError(
                f"{path}: is missing or was changed since it was written; remove {folder} and "
                "fine-tune again"
            )


def _identity(start: Start) -> str:
    stream = start.tensors(choose_device(start.device))
    for _ in stream:
        pass
    return stream.identity().sha256


def _read(folder: Path) -> dict[str, Any]:
    remedy = "remove the folder and fine-tune again"
    return read_json(folder / RECORD_FILE, schema=SCHEMA, error=TuningError, remedy=remedy)
