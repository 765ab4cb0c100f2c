"""The suite: pytest and pytest-benchmark over one migration."""
