"""How a checkpoint is computed: one module per runtime."""
