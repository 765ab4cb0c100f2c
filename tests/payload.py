"""A pickle that does something when it is opened without a restriction."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

MARK = Path("payload-was-run")
"""The folder it makes, in the current one."""


class Payload:
    """Makes a folder when it is unpickled by anything less than a restricted unpickler."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(MARK),)
