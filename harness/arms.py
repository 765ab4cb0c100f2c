"""Both arms of one migration as loaded embedders, and the sequences they are timed on."""

from __future__ import annotations

import gc

import torch

from embedders import Embedder, EmbedderSpec, Outline, describe
from harness import measure
from harness.preparation import Preparation
from harness.spec import ArmName, MigrationSpec

SAMPLE_SEQUENCES = 20_000
"""At most so many sequences are read to draw timed rounds from."""


class Arms:
    """Loads each arm once, and draws the rounds of sequences once, for all who measure.

    ``first``: the arms of another migration from the same baseline, whose baseline and rounds
    are used here as well. ``specs``: of every arm that was ever loaded.
    """

    def __init__(
        self, spec: MigrationSpec, preparation: Preparation, *, first: Arms | None = None
    ) -> None:
        self.spec = spec
        self.preparation = preparation
        self.specs: dict[ArmName, EmbedderSpec] = {}
        self._loaded: dict[ArmName, Embedder] = {}
        self._rounds: list[list[str]] = []
        self._first = first

    def embedder(self, arm: ArmName) -> Embedder:
        """Return one arm's embedder, loaded once."""
        if arm not in self._loaded:
            if self._first is not None and arm is ArmName.BASELINE:
                self._loaded[arm] = self._first.embedder(arm)
            else:
                self._loaded[arm] = self.preparation.loader(self.spec.arm(arm))()
            self.specs[arm] = self._loaded[arm].spec
        return self._loaded[arm]

    def release(self, arm: ArmName) -> None:
        """Let go of an arm's model and its memory; whoever asks for it again loads it again."""
        self._loaded.pop(arm, None)
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def in_runtime(self, arm: ArmName, runtime: str, dtype: str) -> Embedder:
        """Load an arm's weights into another runtime."""
        return self.preparation.loader(self.spec.arm(arm), runtime=runtime, dtype=dtype)()

    def has_learnt_weights(self, arm: ArmName) -> bool:
        """Tell whether an arm's weights were trained, so that classification means something."""
        return not (self.spec.arm(arm).weights or "").startswith("random")

    def outline(self, arm: ArmName) -> Outline:
        """Return what an arm's full-size architecture is, built without weights or memory."""
        plan = self.spec.arm(arm)
        return describe(plan.embedder, plan.runtime)

    def rounds(self) -> list[list[str]]:
        """Return the sequences of each timed round, warm-up first; no sequence comes twice."""
        if self._first is not None:
            return self._first.rounds()
        if not self._rounds:
            plan = self.spec.throughput
            sample = self.preparation.sample(
                plan.dataset, self.embedder(ArmName.BASELINE), SAMPLE_SEQUENCES
            )
            subsets = measure.like_subsets(
                [len(sequence) for sequence in sample],
                subsets=plan.warmup_rounds + plan.rounds,
                rows=plan.sequences,
            )
            self._rounds = [[sample[row] for row in subset] for subset in subsets]
        return self._rounds
