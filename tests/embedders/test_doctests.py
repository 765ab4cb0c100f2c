"""The examples in the docstrings are true."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest


@pytest.mark.parametrize(
    "module",
    [
        *("", ".alphabet", ".batching", ".choices", ".families.prott5", ".kmer", ".listing"),
        *(".loading", ".naming"),
    ],
)
def test_examples_are_true(module: str) -> None:
    result = doctest.testmod(import_module(f"embedders{module}"))
    assert result.attempted > 0
    assert result.failed == 0
