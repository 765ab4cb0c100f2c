"""Decides, on evidence, whether a protein embedder may be swapped."""
