"""The network, as the original pipeline trains it."""

from __future__ import annotations

import torch
from torch import nn

from classifier.errors import ClassifierError

HIDDEN_UNITS = 512
DROPOUT = 0.5
CLASSES = 2


class MLPClassifier(nn.Module):
    """Linear(d→512), BatchNorm, ReLU, Dropout 0.5, Linear(512→2), Xavier-uniform weights.

    The architecture and its initialisation are those of the published pipeline
    (github.com/Li-Jing-1997/VirNucPro, ``train.py``); only the input width is read from the data.

    Parameters
    ----------
    width
        Columns ``d`` of the features.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        if width < 1:
            raise ClassifierError(f"the features must have at least 1 column, not {width}")
        self.width = width
        self.hidden = nn.Linear(width, HIDDEN_UNITS)
        self.norm = nn.BatchNorm1d(HIDDEN_UNITS)
        self.dropout = nn.Dropout(DROPOUT)
        self.output = nn.Linear(HIDDEN_UNITS, CLASSES)
        nn.init.xavier_uniform_(self.hidden.weight)
        nn.init.xavier_uniform_(self.output.weight)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the logits ``(n, 2)``, host first and viral second, of features ``(n, d)``."""
        hidden = torch.relu(self.norm(self.hidden(features)))
        logits: torch.Tensor = self.output(self.dropout(hidden))
        return logits


class Standardisation(nn.Module):
    """Shift and scale each column by what the training rows say; part of the model.

    Parameters
    ----------
    mean, scale
        float32 ``(d,)``; ``(x - mean) / scale`` goes on to the network.
    """

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, mean: torch.Tensor, scale: torch.Tensor) -> None:
        super().__init__()
        if mean.ndim != 1 or mean.shape != scale.shape:
            raise ClassifierError(
                f"mean and scale must be vectors of one width, "
                f"not {tuple(mean.shape)} and {tuple(scale.shape)}"
            )
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the standardised features, ``(n, d)``."""
        return (features - self.mean) / self.scale
