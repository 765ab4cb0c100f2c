"""What a run of extraction did."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from embedders.contract import DEFAULT_TOKENS_PER_BATCH
from embedders.errors import InputError
from harness.features.rejects import REJECTS_FILE


@dataclass(frozen=True, slots=True)
class ExtractionSummary:
    """What a run did; every record that came in was embedded or rejected.

    ``resumed`` counts the records that an earlier run had done; ``residues`` those of the embedded
    records after cleaning; ``elapsed_s`` is the wall time of this run, from the surveyed file to
    the finished folder. ``events`` are sentences on what went wrong and was handled, and on the
    token budget where it had to be found.
    """

    folder: Path
    records: int
    embedded: int
    rejected: int
    residues: int
    shards: int
    elapsed_s: float
    resumed: int = 0
    tokens_per_batch: int = DEFAULT_TOKENS_PER_BATCH
    fixes: Counter[str] = field(default_factory=Counter)
    events: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.records != self.embedded + self.rejected:
            raise InputError(
                f"{self.records} records in, but {self.embedded} embedded and "
                f"{self.rejected} rejected"
            )

    def sentence(self) -> str:
        """Return the one line that ends a run."""
        fixed = f", {self.fixes.total():,} characters fixed" if self.fixes else ""
        listed = f" (listed in {self.folder / REJECTS_FILE})" if self.rejected else ""
        before = f"; {self.resumed:,} of them were done before" if self.resumed else ""
        return (
            f"{self.records:,} records = {self.embedded:,} embedded + {self.rejected:,} rejected"
            f"{listed}{fixed}; {self.residues:,} residues in {self.elapsed_s:.1f} s{before}"
        )
