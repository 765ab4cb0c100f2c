"""Embedders that are wrong on purpose, one after the other, put to the audits of a migration."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch

from embedders import DEFAULT_TOKENS_PER_BATCH, Embedder
from harness import measure
from harness.results import ParityCheck
from harness.selftest.trap import Trap

TOKENS_PER_BATCH = 2048
AUDITED, REPEATED = 8, 12
ARM = "candidate"


@dataclass(frozen=True, slots=True)
class Remembering(measure.Faulty):
    """Answers from memory what it has seen before, so that repeated sequences cost nothing."""

    seen: dict[str, torch.Tensor] = field(default_factory=dict, compare=False)

    def embed(
        self, sequences: Sequence[str], *, tokens_per_batch: int = DEFAULT_TOKENS_PER_BATCH
    ) -> torch.Tensor:
        """Embed what is new; remember all of it."""
        new = [each for each in dict.fromkeys(sequences) if each not in self.seen]
        if new:
            matrix = self.inner.embed(new, tokens_per_batch=tokens_per_batch)
            self.seen.update(zip(new, matrix, strict=True))
        return torch.stack([self.seen[each] for each in sequences])


FAULTS: dict[str, Callable[[Embedder], Embedder]] = {
    "BOS, EOS and padding averaged as well": measure.NaivePooling,
    "vectors given to the wrong ids": measure.ShuffledRows,
    "a window two residues too short": measure.OffByTwoTruncation,
    "vectors that depend on their batch-mates": measure.BatchDependent,
    "vectors that differ from call to call": measure.Unsteady,
    "a NaN among the vectors": measure.WithNaN,
}


def traps(
    embedder: Embedder, reference: Callable[[], Embedder], sequences: Sequence[str]
) -> Iterator[Trap]:
    """Put each faulty embedder to the audits; one that is sound must pass them all."""
    audited = sequences[:AUDITED]

    def audit(suspect: Embedder) -> list[ParityCheck]:
        return list(
            measure.audit_arm(
                suspect, reference, audited, arm=ARM, tokens_per_batch=TOKENS_PER_BATCH
            )
        )

    sound = _failed(audit(embedder))
    for fault, spoil in FAULTS.items():
        failed = _failed(audit(spoil(embedder)))
        yield Trap(
            fault=fault,
            guard="parity audits",
            sound=_said(sound),
            faulty=_said(failed),
            quiet=not sound,
            caught=bool(failed),
        )
    yield _remembering(embedder, sequences)


def _remembering(embedder: Embedder, sequences: Sequence[str]) -> Trap:
    count = measure.REPEAT_ROUNDS + 2
    rounds = [sequences[start : start + REPEATED] for start in range(0, count * REPEATED, REPEATED)]
    sound, faulty = (
        measure.repeats(each, rounds, arm=ARM, tokens_per_batch=TOKENS_PER_BATCH)
        for each in (embedder, Remembering(embedder))
    )
    return Trap(
        fault="answers remembered from earlier rounds, so that timing times the memory",
        guard="repeated sequences are not faster",
        sound=f"at least {sound.value:.2f} times as fast",
        faulty=f"at least {faulty.value:,.0f} times as fast",
        quiet=sound.passed,
        caught=not faulty.passed,
    )


def _failed(checks: Sequence[ParityCheck]) -> list[str]:
    return [check.check for check in checks if not check.passed]


def _said(failed: Sequence[str]) -> str:
    return f"failed: {', '.join(failed)}" if failed else "all passed"
