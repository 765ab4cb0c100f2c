"""One fold of the judged comparison: fine-tune on its training rows, score its test rows."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from classifier import Recipe, predict, train
from classifier.devices import cpu_threads
from embedders import load
from harness.judge import Fold
from harness.spec import Arm, Embedding
from harness.tuning.folder import write_weights
from harness.tuning.proteins import Proteins
from harness.tuning.recipe import TuningRecipe
from harness.tuning.state import Plan, read_tensors, write_tensors
from harness.tuning.training import plan_of, tune
from harness.tuning.tuned import Start, Tuned

STATE_SUFFIX = ".state.safetensors"
WEIGHTS_SUFFIX = ".weights"


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """What all folds of a data set share.

    ``dna``: float32 ``(n, d)``, the DNA half of each row, ``d`` being 0 where there is none.
    ``weights``: SHA-256 of the encoder's. ``arm`` and ``embedding``: how it is deployed.
    """

    proteins: Proteins
    dna: torch.Tensor
    start: Start
    weights: str
    recipe: TuningRecipe
    classifier: Recipe
    arm: Arm
    embedding: Embedding

    def deployed(self) -> dict[str, Any]:
        """Return what decides the vectors of given weights, as :func:`embedders.load` takes it."""
        return {
            "runtime": self.arm.runtime,
            "device": self.embedding.device,
            "dtype": self.arm.dtype,
            "truncation": str(self.embedding.truncation),
            "attention": self.arm.attention,
        }


@dataclass(frozen=True, slots=True)
class FoldScores:
    """Probabilities of viral of a fold's test rows, float32 ``(k,)``, and how they came about.

    ``classifier``: by the pipeline's classifier on the fine-tuned encoder's vectors. ``head``: by
    the head that the encoder was fine-tuned with. ``record``: plain values of the training.
    """

    classifier: NDArray[np.float32]
    head: NDArray[np.float32]
    record: dict[str, Any]


def score_fold(setting: Setting, fold: Fold, seed: int, file: Path) -> FoldScores:
    """Return a fold's scores: those in ``file``, or new ones, which are then written there.

    Encoder and classifier learn from ``fold.train`` alone; both watch the same groups of it to
    stop by, so that these are new to the encoder as well as to the classifier.

    Parameters
    ----------
    setting
        What all folds share.
    fold
        Whose test rows are scored.
    seed
        Of both trainings.
    file
        Ends in ``.safetensors``; what is needed in between stands beside it until it is there.

    Raises
    ------
    OtherTraining
        If the file is of other arguments.
    TuningError, ClassifierError
        As :func:`harness.tuning.tune` and :func:`classifier.train`.
    """
    plan = _plan(setting, fold, seed)
    state = file.with_suffix(STATE_SUFFIX)
    done = read_tensors(file, plan)
    if done is None:
        learning = setting.proteins.take(fold.train)
        tuned = tune(learning, setting.start, setting.recipe, seed=seed, state=state)
        tensors = {
            "classifier": torch.from_numpy(_classify(setting, fold, seed, tuned, file)),
            "head": torch.from_numpy(_by_head(setting, fold, tuned)),
        }
        write_tensors(file, plan, tensors, _record(tuned))
        done = tensors, _record(tuned)
    state.unlink(missing_ok=True)
    tensors, record = done
    return FoldScores(tensors["classifier"].numpy(), tensors["head"].numpy(), record)


def _classify(
    setting: Setting, fold: Fold, seed: int, tuned: Tuned, file: Path
) -> NDArray[np.float32]:
    """Embed every row as it would be deployed, and retrain the classifier on the training rows."""
    folder = file.with_suffix(WEIGHTS_SUFFIX)
    write_weights(tuned, setting.start, folder)
    with cpu_threads(setting.start.threads):
        embedder = load(setting.arm.embedder, weights=str(folder), **setting.deployed())
        vectors = embedder.embed(
            setting.proteins.residues, tokens_per_batch=setting.arm.tokens_per_batch
        )
    shutil.rmtree(folder)
    blocks = [torch.cat((setting.dna, vectors), dim=1)]
    fitted = train(
        blocks,
        setting.proteins.labels,
        setting.proteins.groups,
        recipe=setting.classifier,
        seed=seed,
        rows=fold.train,
    )
    return predict(fitted, blocks, rows=fold.test)


def _by_head(setting: Setting, fold: Fold, tuned: Tuned) -> NDArray[np.float32]:
    with cpu_threads(setting.start.threads):
        return tuned.probabilities(setting.proteins.take(fold.test).residues)


def _record(tuned: Tuned) -> dict[str, Any]:
    losses = [epoch.validation_loss for epoch in tuned.history]
    return {
        "epochs": len(losses) - 1,
        "best_epoch": tuned.best_epoch,
        "frozen_loss": losses[0],
        "best_loss": losses[tuned.best_epoch],
        "learnt": tuned.adapter_parameters,
        "parameters": tuned.parameters,
    }


def _plan(setting: Setting, fold: Fold, seed: int) -> Plan:
    learning = setting.proteins.take(fold.train)
    common = plan_of(learning, setting.start, setting.recipe, seed=seed, weights=setting.weights)
    return {
        **common,
        "test": _digest(setting.proteins.take(fold.test).residues),
        "dna": hashlib.sha256(setting.dna.contiguous().numpy().tobytes()).hexdigest(),
        "deployed": setting.deployed(),
        "classifier": setting.classifier.name,
    }


def _digest(residues: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(residues).encode()).hexdigest()
