"""The table of families: one row and one module for each kind of function there is."""

from __future__ import annotations

from importlib import import_module

from embedders.checkpoints import Checkpoint, Family
from embedders.families.adapter import Adapter, Outline

__all__ = ["FAMILIES", "Adapter", "Outline", "adapter_of"]

FAMILIES: dict[Family, str] = {
    Family.ESM2: "embedders.families.esm2",
    Family.ESMC: "embedders.families.esmc",
    Family.PROTT5: "embedders.families.prott5",
    Family.DNABERT: "embedders.families.dnabert",
    Family.KMER: "embedders.families.kmer",
    Family.PLUGIN: "embedders.families.plugin",
}
"""The module of each family; its ``ADAPTER`` loads the family's checkpoints."""


def adapter_of(row: Checkpoint) -> Adapter:
    """Return what loads a checkpoint; a family's module is imported when it is first asked for."""
    adapter: Adapter = import_module(FAMILIES[row.family]).ADAPTER
    return adapter
