"""Arrays in, probabilities out; knows no embedder."""
