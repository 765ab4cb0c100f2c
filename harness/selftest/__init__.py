"""Does the harness notice what it should? Faults planted on purpose, and A/A comparisons."""

from harness.selftest.run import run
from harness.selftest.trap import SCHEMA, Control, SelfTest, Trap

__all__ = ["SCHEMA", "Control", "SelfTest", "Trap", "run"]
