"""What the judged comparison found, as frozen records."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from harness.evidence import Classification, Endpoint
from harness.provenance import Provenance
from harness.results import Gate, Verdict

SCHEMA = "embedder-migration/finetune-judge/1"
RECORD_FILE = "finetune-judge.json"


class Contender(StrEnum):
    """What is compared; ``HEAD`` is the fine-tuned encoder scored by its own head."""

    BASELINE = "baseline"
    CANDIDATE = "candidate"
    FINETUNED = "fine-tuned"
    HEAD = "fine-tuned, own head"


FILE_NAMES = {
    Contender.BASELINE: "baseline",
    Contender.CANDIDATE: "candidate",
    Contender.FINETUNED: "fine-tuned",
    Contender.HEAD: "fine-tuned-head",
}
"""What the file of a contender's predictions is called, behind the data set."""

RATES_SHOWN = ("accuracy", "recall", "specificity", "roc_auc", "brier")

Row = dict[str, str | float | None]

PAIRS = (
    (Contender.BASELINE, Contender.FINETUNED),
    (Contender.CANDIDATE, Contender.FINETUNED),
    (Contender.BASELINE, Contender.CANDIDATE),
)
"""What is paired, before and after; the first pair decides."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two contenders on one data set: the endpoints, and the gates' words on them."""

    dataset: str
    before: Contender
    after: Contender
    endpoints: tuple[Endpoint, ...]
    gates: tuple[Gate, ...]


@dataclass(frozen=True, slots=True)
class Training:
    """One fine-tuning: losses are those of the watching groups, in nats per row.

    ``frozen_loss`` is with the encoder as it was, ``best_loss`` that of ``best_epoch``; 0 means
    that no epoch was better, so that the encoder was left as it was.
    """

    dataset: str
    seed: int
    fold: int
    epochs: int
    best_epoch: int
    frozen_loss: float
    best_loss: float
    learnt: int
    parameters: int


@dataclass(frozen=True, slots=True)
class TuningComparison:
    """The whole comparison; ``unclassified`` says why a data set could not be cut into folds."""

    schema: str
    name: str
    baseline: str
    candidate: str
    recipe: dict[str, Any]
    seeds: tuple[int, ...]
    folds: int
    classification: tuple[Classification, ...]
    pairs: tuple[Pair, ...]
    trainings: tuple[Training, ...]
    unclassified: dict[str, str]
    verdict: Verdict
    provenance: Provenance

    def tables(self) -> tuple[list[Row], list[Row], list[Row]]:
        """Return the rows of three tables: endpoints of each pair, rates, and trainings."""
        return self._endpoints(), self._rates(), [asdict(each) for each in self.trainings]

    def _endpoints(self) -> list[Row]:
        return [
            {
                "dataset": pair.dataset,
                "level": endpoint.level,
                "endpoint": endpoint.endpoint,
                "before": str(pair.before),
                "after": str(pair.after),
                "difference": endpoint.paired.difference,
                "lower": endpoint.paired.lower,
                "upper": endpoint.paired.upper,
                "margin": endpoint.paired.margin,
                "decision": str(gate.decision),
                "reason": gate.reason,
            }
            for pair in self.pairs
            for endpoint, gate in zip(pair.endpoints, pair.gates, strict=True)
        ]

    def _rates(self) -> list[Row]:
        return [
            {
                "dataset": each.dataset,
                "level": each.level,
                "contender": each.arm,
                **{rate: each.mean[rate] for rate in RATES_SHOWN},
            }
            for each in self.classification
        ]
