"""A small trained model, its reference on the other library, and proteins of all lengths."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from embedders import Embedder, load
from tests.bundled import shortest

NAME = "mini-candidate"

Loader = Callable[..., Embedder]


@pytest.fixture(scope="session")
def sequences() -> list[str]:
    """Ten whole proteins, from the shortest of the bundled ones on."""
    return [each.upper() for each in list(shortest(100).values())[::10]]


@pytest.fixture(scope="session")
def loader() -> Loader:
    """Loads the model in any runtime and dtype, each once."""
    loaded: dict[tuple[str, str, str], Embedder] = {}

    def get(runtime: str, dtype: str = "float32", truncation: str = "truncate") -> Embedder:
        key = (runtime, dtype, truncation)
        if key not in loaded:
            loaded[key] = load(
                NAME, runtime=runtime, dtype=dtype, truncation=truncation, device="cpu"
            )
        return loaded[key]

    return get
