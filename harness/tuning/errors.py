"""Typed errors of fine-tuning; each message names the remedy."""

from __future__ import annotations

from embedders.errors import InputError


class TuningError(InputError):
    """Fine-tuning that cannot be done, or not gone on with."""


class OtherTraining(TuningError):
    """A file of a training under other arguments; the message says what differs."""
