"""What stands on the encoder while it is fine-tuned: one logit from the mean over residues."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

PROBE_STEPS = 200
"""Most iterations of the first fit; it converges in some tens."""


class Head(nn.Module):
    """Shift and scale each column, then a linear layer to the logit of viral, ``(n,)``.

    Mean and scale are those of the frozen encoder's vectors and never change. The first weights
    are fitted to the frozen encoder: a head of random weights would first pull the encoder away
    from what it knows (Kumar et al. 2022, arXiv:2202.10054).

    Parameters
    ----------
    width
        Columns of a vector.
    """

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.weight = nn.Parameter(torch.zeros(width))
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return the logit of each row of ``(n, width)``."""
        logits: torch.Tensor = ((vectors - self.mean) / self.scale) @ self.weight + self.bias
        return logits

    def fit_first(self, vectors: torch.Tensor, labels: torch.Tensor, penalty: float) -> None:
        """Fit everything to vectors of the frozen encoder, by penalised logistic regression.

        Parameters
        ----------
        vectors
            float32 ``(n, width)`` on the CPU.
        labels
            float32 ``(n,)``, 0 or 1.
        penalty
            Half of it times the squared norm of the weights is added to the mean cross-entropy.
        """
        wide = vectors.double()
        scale, mean = torch.std_mean(wide, dim=0, correction=0)
        # a column that never varies says nothing; dividing by rounding noise would make it loud
        scale = torch.where(scale <= 1e-6 * mean.abs(), torch.ones_like(scale), scale)
        columns = (wide - mean) / scale
        fitted = torch.zeros(vectors.shape[1] + 1, dtype=torch.float64, requires_grad=True)
        solver = torch.optim.LBFGS([fitted], max_iter=PROBE_STEPS, line_search_fn="strong_wolfe")

        def loss() -> torch.Tensor:
            solver.zero_grad()
            logits = columns @ fitted[:-1] + fitted[-1]
            entropy = F.binary_cross_entropy_with_logits(logits, labels.double())
            total = entropy + 0.5 * penalty * fitted[:-1].square().sum()
            total.backward()  # type: ignore[no-untyped-call]
            return total

        solver.step(loss)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            self.mean.copy_(mean)
            self.scale.copy_(scale)
            self.weight.copy_(fitted[:-1])
            self.bias.copy_(fitted[-1])
