"""The published pipeline's way to feed and to train its classifier, to be measured against.

Written down after ``train.py`` of github.com/Li-Jing-1997/VirNucPro: every file of 10,000 rows
whole in memory, a search through the files for every single row, rows collated one by one into
batches of 32, stochastic gradient descent, early stopping. What it does and how often is kept;
two things differ. Its loader has twelve processes, here as many as are asked for, none by default:
on two cores they fight for what the training needs. Its early stopping saves the last epoch's
weights, because it keeps a reference to the live ones; here too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset

from classifier import MLPClassifier
from harness.features import read_shard

BATCH_ROWS = 32
LEARNING_RATE = 2e-4
MOMENTUM = 0.9
STEP_EPOCHS, GAMMA = 10, 0.85
PATIENCE, MAX_EPOCHS = 5, 200

Row = tuple[torch.Tensor, torch.Tensor]


class WholeFiles(Dataset[Row]):
    """All rows of all files in memory; a file's label is its first row's.

    Parameters
    ----------
    files
        Merged files with labels.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._data: list[torch.Tensor] = []
        self._labels: list[int] = []
        for path in files:
            shard = read_shard(path)
            if shard.labels is None:
                raise ValueError(f"{path}: carries no labels")
            self._data.append(shard.matrix.clone())  # read_shard maps, the pipeline loads
            self._labels.append(int(shard.labels[0]))

    def __len__(self) -> int:
        return sum(data.size(0) for data in self._data)

    def __getitem__(self, index: int) -> Row:
        before = 0
        for data, label in zip(self._data, self._labels, strict=True):
            if before + data.size(0) > index:
                return data[index - before], torch.tensor(label)
            before += data.size(0)
        raise IndexError(index)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the pipeline looks at after each epoch: mean loss of the batches, accuracy, AUC."""

    loss: float
    accuracy: float
    auc: float


def loader(
    rows: WholeFiles, indices: Sequence[int], *, shuffle: bool, workers: int = 0
) -> DataLoader[Row]:
    """Return the pipeline's loader of some rows."""
    return DataLoader(
        Subset(rows, indices), batch_size=BATCH_ROWS, shuffle=shuffle, num_workers=workers
    )


class OriginalTraining:
    """The pipeline's network and its optimiser.

    Parameters
    ----------
    width
        Columns of the features.
    seed
        Of torch's global generator, which the pipeline leaves to chance.
    """

    def __init__(self, width: int, seed: int) -> None:
        torch.manual_seed(seed)
        self.model = MLPClassifier(width)
        self._loss = nn.CrossEntropyLoss()
        self._optimizer = torch.optim.SGD(
            self.model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM
        )
        self._schedule = torch.optim.lr_scheduler.StepLR(self._optimizer, STEP_EPOCHS, GAMMA)

    def epoch(self, batches: Iterable[Any]) -> float:
        """Go through batches of training rows once; return the mean loss."""
        self.model.train()
        running, count = 0.0, 0
        for features, labels in batches:
            self._optimizer.zero_grad()
            loss = self._loss(self.model(features), labels)
            loss.backward()
            self._optimizer.step()
            running += loss.item()
            count += 1
        return running / count

    def fit(self, training: DataLoader[Row], test: DataLoader[Row]) -> list[Evaluation]:
        """Train until the test loss has not fallen for five epochs; return one entry for each."""
        found: list[Evaluation] = []
        best, waited = float("inf"), 0
        for _ in range(MAX_EPOCHS):
            self.epoch(training)
            found.append(evaluate(self.model, test))
            if found[-1].loss < best:
                best, waited = found[-1].loss, 0
            else:
                waited += 1
                if waited >= PATIENCE:
                    break
            self._schedule.step()
        return found


def evaluate(model: MLPClassifier, batches: DataLoader[Row]) -> Evaluation:
    """Evaluate as the pipeline does after each epoch."""
    model.eval()
    total, right = 0.0, 0
    truth: list[int] = []
    scores: list[float] = []
    with torch.no_grad():
        for features, labels in batches:
            outputs = model(features)
            total += nn.functional.cross_entropy(outputs, labels).item()
            right += int((outputs.argmax(dim=1) == labels).sum().item())
            truth.extend(labels.tolist())
            scores.extend(torch.softmax(outputs, dim=1)[:, 1].tolist())
    return Evaluation(total / len(batches), right / len(truth), float(roc_auc_score(truth, scores)))
