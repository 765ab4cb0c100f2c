"""What can be loaded: the rows of the table, and those that other packages bring."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from embedders.checkpoints import CHECKPOINTS, Checkpoint, Family
from embedders.errors import UnknownName
from embedders.plugins import Broken, discover, find_plugin, plugin_names
from embedders.runtimes import RUNTIMES


@dataclass(frozen=True, slots=True)
class ListedEmbedder:
    """One embedder. ``parameters`` counts the encoder; ``layers`` and ``heads`` are 0 without.

    ``provider`` is the distribution that brings it; None for one of this package.
    """

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
    provider: str | None = None


def checkpoint(name: str) -> Checkpoint:
    """Look a checkpoint up: in the table, and then among what other packages bring.

    Raises
    ------
    UnknownName
        If there is none of that name; the message gives the nearest names.
    PluginError
        If a package brings it and it cannot be used.

    Examples
    --------
    >>> checkpoint("esm2-3b").width
    2560
    """
    if name in CHECKPOINTS:
        return CHECKPOINTS[name]
    found = find_plugin(name)
    if found is None:
        raise UnknownName("embedder", name, (*CHECKPOINTS, *plugin_names()))
    return found.plugin.checkpoint


def runtimes_of(row: Checkpoint) -> tuple[str, ...]:
    """Names of the runtimes that compute a checkpoint."""
    if row.family is Family.ESM2:
        return tuple(RUNTIMES)
    return (row.default_runtime, *row.other_runtimes)


def list_embedders() -> list[dict[str, object]]:
    """Every embedder as a row that JSON can hold: the table in its order, then plug-ins by name.

    Plug-ins that cannot be used are left out; :func:`broken_plugins` says which and why.
    """
    there, _ = discover()
    listed = [_listed(row) for row in CHECKPOINTS.values()]
    listed += [_listed(each.plugin.checkpoint, each.distribution) for each in there]
    return [asdict(each) for each in listed]


def broken_plugins() -> tuple[Broken, ...]:
    """Embedders of other packages that cannot be used, each with the reason."""
    return discover()[1]


def _listed(row: Checkpoint, provider: str | None = None) -> ListedEmbedder:
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
        provider=provider,
    )
