"""From FASTA to features: read, embed, store, merge."""
