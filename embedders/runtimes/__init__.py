"""The table of how an ESM-2 encoder is computed: one row per runtime.

A new runtime is one file that offers :class:`embedders.runtimes.encoder.RuntimeModule`, and one
row in ``RUNTIMES``.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import cast

from embedders.errors import UnknownName
from embedders.runtimes.encoder import Encoder, Placement, RuntimeModule

__all__ = ["RUNTIMES", "Encoder", "Placement", "Runtime", "RuntimeModule", "runtime"]


@dataclass(frozen=True, slots=True)
class Runtime:
    """One way to compute an encoder.

    ``distributions`` are the installed packages whose versions decide the result; ``attentions``
    the implementations that a caller may choose; empty when there is no choice. ``pads`` tells
    whether the rows of a batch are padded to the longest.
    """

    name: str
    module: str
    summary: str
    distributions: tuple[str, ...]
    attentions: tuple[str, ...] = ()
    pads: bool = True

    def load(self) -> RuntimeModule:
        """Import the runtime's module; its library is imported when a model is built."""
        return cast(RuntimeModule, import_module(self.module))


_ROWS = (
    Runtime(
        name="fair-esm",
        module="embedders.runtimes.fair_esm",
        summary="the fair-esm library, as the original pipeline deploys it",
        distributions=("torch", "fair-esm"),
    ),
    Runtime(
        name="huggingface",
        module="embedders.runtimes.huggingface",
        summary="transformers' EsmModel with a choice of attention",
        distributions=("torch", "transformers"),
        attentions=("sdpa", "eager", "flash_attention_2"),
    ),
    Runtime(
        name="packed",
        module="embedders.runtimes.packed",
        summary="this project's own encoder, without padding: the fastest",
        distributions=("torch",),
        attentions=("native", "varlen", "sdpa"),
        pads=False,
    ),
)

RUNTIMES: dict[str, Runtime] = {row.name: row for row in _ROWS}
"""Every runtime of ESM-2 encoders by name."""


def runtime(name: str) -> Runtime:
    """Look a runtime up.

    Raises
    ------
    UnknownName
        If there is none of that name; the message gives the nearest names.
    """
    try:
        return RUNTIMES[name]
    except KeyError:
        raise UnknownName("runtime", name, RUNTIMES) from None
