"""Typed errors of the classifier; each message is one line that names the remedy."""

from __future__ import annotations


class ClassifierError(ValueError):
    """Bad input or usage: the caller can mend it. The command line exits with 2."""


class UnknownRecipe(ClassifierError):
    """A recipe that is in no table."""


class TooFewGroups(ClassifierError):
    """A class with too few groups for an early-stopping set that shares no group with training."""


class LayoutMismatch(ClassifierError):
    """Features of another embedder, or of another width, than the classifier was trained on."""


class CheckpointError(ClassifierError):
    """A checkpoint that is missing, incomplete, tampered with, or of an unknown format."""
