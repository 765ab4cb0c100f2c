"""Embedders of proteins that embedder-migration finds by their entry points."""
