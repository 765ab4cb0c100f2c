"""The suite: pytest and pytest-benchmark over one migration, the bundled demo by default."""

from pathlib import Path

DEMO = Path(__file__).with_name("demo.toml")
"""The bundled demo migration; its data lie in ``benchmarks/data``."""

__all__ = ["DEMO"]
