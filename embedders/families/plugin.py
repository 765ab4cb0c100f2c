"""Embedders of other packages: each loads itself, and is held against its own row."""

from __future__ import annotations

from dataclasses import replace

from embedders.arithmetic import Arithmetic
from embedders.checkpoints import Checkpoint
from embedders.choices import Choices
from embedders.contract import Embedder
from embedders.errors import UnknownName
from embedders.families.adapter import Adapter
from embedders.plugins import Provided, check_embedder, find_plugin, plugin_names


class PluginAdapter(Adapter):
    """Hands over to the package that brings an embedder."""

    def build(self, row: Checkpoint, choices: Choices) -> Embedder:
        """Let the package load its embedder, and check what it is."""
        found = _provided(row)
        return check_embedder(found, choices, found.plugin.build(row, choices))

    def arithmetic(self, row: Checkpoint, layers: int | None) -> Arithmetic | None:
        """Return the matrices of a layer if the package says what they are."""
        block = _provided(row).plugin.block
        return block if block is None or layers is None else replace(block, layers=layers)


def _provided(row: Checkpoint) -> Provided:
    found = find_plugin(row.name)
    if found is None:
        raise UnknownName("embedder", row.name, plugin_names())
    return found


ADAPTER = PluginAdapter()
