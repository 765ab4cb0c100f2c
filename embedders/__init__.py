"""Text of residues in, one vector per sequence out."""
