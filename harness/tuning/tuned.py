"""An encoder with adapters and a head, and what it was opened from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from classifier import Epoch
from embedders.batching import plan_batches
from embedders.checkpoints import Checkpoint
from embedders.opened import OpenedEncoder, open_encoder, open_tensors
from embedders.weights import TensorStream
from harness.tuning.adapter import Adapter
from harness.tuning.head import Head
from harness.tuning.proteins import Proteins
from harness.tuning.recipe import TuningRecipe


@dataclass(frozen=True, slots=True)
class Start:
    """What is fine-tuned, and on what: a checkpoint's weights, a device, threads on a CPU."""

    row: Checkpoint
    weights: str | None = None
    revision: str | None = None
    layers: int | None = None
    device: str = "auto"
    threads: int = 1

    def open(self, dtype: str) -> OpenedEncoder:
        """Load the encoder; see :func:`embedders.opened.open_encoder`."""
        return open_encoder(
            self.row,
            weights=self.weights,
            revision=self.revision,
            layers=self.layers,
            device=self.device,
            dtype=dtype,
        )

    def tensors(self, device: torch.device | None = None) -> TensorStream:
        """Return the weights as they are stored; random ones are drawn on ``device``."""
        return open_tensors(
            self.row,
            weights=self.weights,
            revision=self.revision,
            layers=self.layers,
            device=device,
        )


class Tuned:
    """An encoder with adapters, and the head that they are learnt with.

    ``history[e]`` is of epoch ``e``, 0 being the encoder as it was, and the weights are those of
    ``best_epoch``, once :func:`tune` has returned it.
    """

    def __init__(self, opened: OpenedEncoder, row: Checkpoint, recipe: TuningRecipe) -> None:
        self.encoder = opened.encoder
        self.architecture = opened.architecture
        self.recipe = recipe
        self.parameters = opened.encoder.parameters
        self.adapter = Adapter(opened, row, recipe)
        self.head = Head(opened.encoder.width).to(opened.encoder.device)
        self.history: tuple[Epoch, ...] = ()
        self.best_epoch = 0

    def learnt(self) -> dict[str, torch.nn.Parameter]:
        """Return what is learnt, adapters and head, by name."""
        head = {f"head.{name}": value for name, value in self.head.named_parameters()}
        return {**self.adapter.parameters(), **head}

    @property
    def adapter_parameters(self) -> int:
        """Numbers that are learnt in the encoder, out of its ``parameters``."""
        return sum(each.numel() for each in self.adapter.parameters().values())

    def vectors(self, residues: Sequence[str]) -> torch.Tensor:
        """Return the mean over the residues that training reads: float32 ``(n, width)``, CPU."""
        self.encoder.model.eval()
        with torch.no_grad():
            return self._in_passes(residues, lambda part: self._pooled(part).cpu())

    def logits(self, residues: Sequence[str]) -> torch.Tensor:
        """Return the head's logits of viral: float32 ``(n,)``, CPU."""
        self.encoder.model.eval()
        with torch.no_grad():
            return self._in_passes(residues, lambda part: self.head(self._pooled(part)).cpu())

    def probabilities(self, residues: Sequence[str]) -> NDArray[np.float32]:
        """Return the head's probabilities of viral: float32 ``(n,)``."""
        found: NDArray[np.float32] = torch.sigmoid(self.logits(residues)).numpy()
        return found

    def add_gradient(self, batch: Proteins) -> float:
        """Add the gradient of a batch's mean loss; return its summed loss, in nats."""
        total = 0.0
        lengths = [self._entering(len(each)) for each in batch.residues]
        for rows in plan_batches(lengths, self.recipe.tokens_per_pass):
            logits = self.head(self._pooled([batch.residues[row] for row in rows]))
            truth = torch.tensor(batch.labels[rows], dtype=torch.float32, device=logits.device)
            loss = F.binary_cross_entropy_with_logits(logits, truth, reduction="sum")
            (loss / len(batch)).backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        return total

    def _entering(self, residues: int) -> int:
        return min(residues, self.recipe.max_residues)

    def _pooled(self, residues: Sequence[str]) -> torch.Tensor:
        window = self.recipe.max_residues
        return self.encoder.pooled([each[:window] for each in residues], window)

    def _in_passes(
        self, residues: Sequence[str], compute: Callable[[list[str]], torch.Tensor]
    ) -> torch.Tensor:
        lengths = [self._entering(len(each)) for each in residues]
        passes = plan_batches(lengths, self.recipe.tokens_per_pass)
        parts = [compute([residues[row] for row in rows]) for rows in passes]
        order = [row for rows in passes for row in rows]
        together = torch.cat(parts)
        return together[torch.argsort(torch.tensor(order))]
