"""What a user chose for one embedder, with names looked up but not yet tried."""

from __future__ import annotations

from dataclasses import dataclass

from embedders.contract import Truncation
from embedders.errors import UnsupportedChoice


@dataclass(frozen=True, slots=True)
class Choices:
    """Everything that :func:`embedders.load` was asked for beside the name.

    ``runtime`` is one that the embedder's row names; what else was left out is ``None`` (``auto``
    for the device), and means the embedder's own choice.
    """

    runtime: str
    weights: str | None = None
    device: str = "auto"
    dtype: str | None = None
    truncation: Truncation = Truncation.TRUNCATE
    attention: str | None = None
    remote_code: bool = False
    revision: str | None = None
    layers: int | None = None

    def refuse(self, name: str, *fields: str) -> None:
        """Refuse choices that an embedder does not have: none is ever dropped silently.

        Parameters
        ----------
        name
            The embedder's.
        fields
            Which of the fields must have been left out.

        Raises
        ------
        UnsupportedChoice
            If one of them was given; all are listed.

        Examples
        --------
        >>> Choices("numpy", dtype="bfloat16").refuse("kmer4", "dtype", "layers")
        Traceback (most recent call last):
            ...
        embedders.errors.UnsupportedChoice: 'kmer4' has no choice of dtype='bfloat16'; leave it out
        """
        given = {field: getattr(self, field) for field in fields}
        named = [f"{key}={value!r}" for key, value in given.items() if value not in (None, False)]
        if named:
            raise UnsupportedChoice(f"{name!r} has no choice of {', '.join(named)}; leave it out")
