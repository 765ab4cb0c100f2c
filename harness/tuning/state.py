"""A training after one of its epochs, as one file from which it goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from classifier import Epoch
from harness.files import write_atomically
from harness.tuning.errors import OtherTraining, TuningError

FORMAT = "embedder-migration/tuning-state/1"

Plan = Mapping[str, Any]
"""What a training's result follows from, as plain JSON values; equal plans give equal bits."""


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """Where a training stands.

    ``tensors``: what is learnt and the optimiser's moments, by name. ``history[e]`` is of epoch
    ``e``, 0 being the encoder as it was; the last entry is the last finished epoch's.
    """

    tensors: dict[str, torch.Tensor]
    history: tuple[Epoch, ...]
    best_epoch: int

    @property
    def epoch(self) -> int:
        """The last finished epoch."""
        return len(self.history) - 1


def write_state(path: Path, plan: Plan, state: State) -> None:
    """Write a state whole or not at all.

    Raises
    ------
    OSError
        If the disk refuses.
    """
    record = {
        "history": [asdict(epoch) for epoch in state.history],
        "best_epoch": state.best_epoch,
    }
    write_tensors(path, plan, state.tensors, record)


def read_state(path: Path, plan: Plan) -> State | None:
    """Read the state of the training that ``plan`` describes; None where there is none.

    Raises
    ------
    OtherTraining
        If the file is of another plan; the message says what differs.
    TuningError
        If the file is damaged.
    """
    found = read_tensors(path, plan)
    if found is None:
        return None
    tensors, record = found
    try:
        history = tuple(Epoch(**epoch) for epoch in record["history"])
        return State(tensors, history, int(record["best_epoch"]))
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, str(error)) from error


def write_tensors(
    path: Path, plan: Plan, tensors: Mapping[str, torch.Tensor], record: Mapping[str, Any]
) -> None:
    """Write tensors, what they belong to and plain values beside them, whole or not at all."""
    from safetensors.torch import save_file  # noqa: PLC0415

    metadata = {
        "format": FORMAT,
        "plan": json.dumps(plan, sort_keys=True),
        "record": json.dumps(record, sort_keys=True, allow_nan=False),
    }
    held = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomically(path, lambda partial: save_file(held, partial, metadata=metadata))


def read_tensors(path: Path, plan: Plan) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    """Read what :func:`write_tensors` wrote under the same plan; None where there is no file.

    Raises
    ------
    OtherTraining
        If the file is of another plan; the message says what differs.
    TuningError
        If the file is damaged.
    """
    from safetensors import SafetensorError, safe_open  # noqa: PLC0415

    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt", device="cpu") as stored:
            metadata = stored.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise TuningError(f"{path}: is no file of the format {FORMAT!r}; move it away")
            check_plan(path, json.loads(metadata["plan"]), plan)
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
            return tensors, json.loads(metadata["record"])
    except (OSError, SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise _damaged(path, str(error)) from error


def check_plan(path: Path, found: Plan, wanted: Plan) -> None:
    """Refuse what belongs to another plan.

    Raises
    ------
    OtherTraining
        If the two differ; the message says in what.
    """
    # through JSON, as the stored one went: tuples become lists
    asked = json.loads(json.dumps(wanted))
    differing = [
        f"{key} was {found.get(key)!r} and is {asked.get(key)!r}"
        for key in sorted(found.keys() | asked.keys())
        if found.get(key) != asked.get(key)
    ]
    if differing:
        raise OtherTraining(
            f"{path}: is of a training under other arguments: {'; '.join(differing)}; give the "
            "same ones again, or choose another folder"
        )


def _damaged(path: Path, reason: str) -> TuningError:
    return TuningError(
        f"{path}: is damaged ({reason}); remove it and run the same command again, which then "
        "makes anew what it held"
    )
