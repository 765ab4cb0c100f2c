"""What one embedder costs, and whether it is right."""
