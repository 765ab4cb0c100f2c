"""What can be loaded, as plain rows for ``harness list``."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from embedders.checkpoints import CHECKPOINTS, Checkpoint, Family
from embedders.runtimes import RUNTIMES


@dataclass(frozen=True, slots=True)
class ListedEmbedder:
    """One embedder. ``parameters`` counts the encoder; ``layers`` and ``heads`` are 0 without."""

    name: str
    modality: str
    width: int
    layers: int
    heads: int
    parameters: int
    runtimes: tuple[str, ...]
    default_runtime: str
    hub_id: str | None
    fair_esm_name: str | None
    revision: str | None
    licence: str


def runtimes_of(row: Checkpoint) -> tuple[str, ...]:
    """Names of the runtimes that compute a checkpoint."""
    return tuple(RUNTIMES) if row.family is Family.ESM2 else (row.default_runtime,)


def list_embedders() -> list[dict[str, object]]:
    """Every embedder as a row that JSON can hold, in the order of the table."""
    return [asdict(_listed(row)) for row in CHECKPOINTS.values()]


def _listed(row: Checkpoint) -> ListedEmbedder:
    return ListedEmbedder(
        name=row.name,
        modality=row.modality.value,
        width=row.width,
        layers=row.layers,
        heads=row.heads,
        parameters=row.parameters,
        runtimes=runtimes_of(row),
        default_runtime=row.default_runtime,
        hub_id=row.hub_id,
        fair_esm_name=row.fair_esm_name,
        revision=row.revision,
        licence=row.licence,
    )
