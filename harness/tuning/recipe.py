"""How an encoder is fine-tuned: everything but the data and the seed."""

from __future__ import annotations

import math
from dataclasses import dataclass

from embedders import WINDOW_RESIDUES
from embedders.errors import InputError

TARGETS = {
    "query": r"attention\.self\.query",
    "key": r"attention\.self\.key",
    "value": r"attention\.self\.value",
    "output": r"attention\.output\.dense",
    "feed-forward": r"(?:intermediate|output)\.dense",
}
"""Matrices of each layer that may get an adapter, and how ``EsmModel`` names them."""


@dataclass(frozen=True, slots=True)
class TuningRecipe:
    """Low-rank adaptation (Hu et al. 2021, arXiv:2106.09685) of an ESM-2 encoder.

    Beside each matrix ``W`` of ``targets`` two thin ones are learnt, and ``W + alpha/rank · B·A``
    is used; ``W`` itself never changes. Where no source is given, a value is a habit of the field.

    ``rank``, ``targets``
        Sledzieski et al. 2024 (PNAS 121:e2405840121) find ranks of 4 and more on key and value best
        for ESM-2, and little difference beyond; Hu et al. adapt query and value.
    ``dropout``
        Of what enters an adapter, in training.
    ``learning_rate``, ``batch_rows``
        3e-4 and 8 sequences are those of Schmirler et al. 2024 (Nature Communications 15:7407) for
        LoRA on ESM-2. AdamW; the rate rises over the first ``warmup`` part of all steps and falls
        to zero with the last.
    ``weight_decay``
        AdamW's, of all that is learnt.
    ``max_epochs``, ``patience``
        Training ends after ``patience`` epochs without a lower validation loss, or at
        ``max_epochs``; the best epoch's weights are kept. Epoch 0 is the encoder as it was, so that
        an encoder which does not get better is left alone.
    ``max_residues``
        Only so many residues of each protein, from the first, are read in training; embedding reads
        the usual window. At most that window.
    ``probe_penalty``
        Half of it times the squared norm of the first head's weights is added to its loss; on the
        demo the lowest loss out of fold, or nearly, with 300 proteins as with 1,720.
    ``tokens_per_pass``
        Tokens of one pass, padding included: a batch of more goes through in several passes, whose
        gradients are summed. Bounds memory and changes rounding only.
    ``dtype``
        Of the frozen weights in training; what is learnt is float32 in any case.
    """

    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.1
    targets: tuple[str, ...] = ("query", "key", "value")
    learning_rate: float = 3e-4
    weight_decay: float = 0.01
    warmup: float = 0.1
    batch_rows: int = 8
    max_epochs: int = 10
    patience: int = 3
    max_residues: int = WINDOW_RESIDUES
    probe_penalty: float = 0.1
    tokens_per_pass: int = 8192
    dtype: str = "float32"

    def __post_init__(self) -> None:
        for key in ("rank", "batch_rows", "max_epochs", "patience", "tokens_per_pass"):
            _check(key, getattr(self, key), getattr(self, key) >= 1, "at least 1")
        for key in ("alpha", "learning_rate", "probe_penalty"):
            value = getattr(self, key)
            _check(key, value, 0 < value < math.inf, "above 0")
        for key in ("dropout", "warmup", "weight_decay"):
            _check(key, getattr(self, key), 0 <= getattr(self, key) < 1, "from 0 to below 1")
        residues = self.max_residues
        span = f"from 1 to {WINDOW_RESIDUES}, the window of embedding"
        _check("max_residues", residues, 1 <= residues <= WINDOW_RESIDUES, span)
        known = set(self.targets) <= set(TARGETS) and len(set(self.targets)) == len(self.targets)
        _check("targets", self.targets, bool(self.targets) and known, f"some of {list(TARGETS)}")

    def modules(self) -> str:
        """Return a pattern that the names of the adapted modules match as a whole."""
        chosen = "|".join(TARGETS[target] for target in self.targets)
        return rf"encoder\.layer\.\d+\.(?:{chosen})"

    def rate(self, step: int, steps: int) -> float:
        """Return the learning rate of a step, counted from 0, out of ``steps``.

        Examples
        --------
        >>> recipe = TuningRecipe(learning_rate=1.0, warmup=0.2)
        >>> [round(recipe.rate(step, 10), 3) for step in (0, 1, 2, 9)]
        [0.5, 1.0, 1.0, 0.125]
        """
        rising = round(self.warmup * steps)
        if step < rising:
            return self.learning_rate * (step + 1) / rising
        return self.learning_rate * (steps - step) / (steps - rising)


def _check(key: str, value: object, met: bool, asked: str) -> None:
    if not met:
        raise InputError(f"{key} of the recipe must be {asked}, not {value!r}")
