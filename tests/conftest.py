"""Fixtures that more than one package's tests need."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.faults.table import pytest_terminal_summary
from tests.real_weights import FetchError
from tests.real_weights import esm2_8m_folder as fetch_esm2_8m

__all__ = ["pytest_terminal_summary"]  # here, because a run on several processes loads no other


@pytest.fixture(scope="session")
def esm2_8m_folder() -> Path:
    """Folder of real ESM2-8M weights, laid out like the hub's. Use with the marker ``weights``."""
    try:
        return fetch_esm2_8m()
    except FetchError as error:
        reason = f"real ESM2-8M weights cannot be had: {error}"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
