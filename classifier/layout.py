"""Which embedder made which columns of a classifier's features."""

from __future__ import annotations

from dataclasses import dataclass

from classifier.errors import ClassifierError, LayoutMismatch


@dataclass(frozen=True, slots=True)
class FeaturePart:
    """A run of columns that one embedder made.

    ``name`` is the embedder's, e.g. ``esm2-3b``; ``fingerprint`` tells its weights and policies
    apart, e.g. a hash from the features' manifest.
    """

    name: str
    width: int
    fingerprint: str

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ClassifierError(f"width of {self.name!r} must be at least 1, not {self.width}")


@dataclass(frozen=True, slots=True)
class FeatureLayout:
    """Which embedder made which columns, in column order: DNA first, protein second."""

    parts: tuple[FeaturePart, ...]

    def __post_init__(self) -> None:
        if not self.parts:
            raise ClassifierError("a layout of features needs at least one part")

    @property
    def width(self) -> int:
        """Columns of all parts together."""
        return sum(part.width for part in self.parts)

    def __str__(self) -> str:
        parts = " + ".join(f"{part.name} ({part.width})" for part in self.parts)
        return f"{parts} = {self.width} columns"


def check_layout(expected: FeatureLayout, got: FeatureLayout) -> None:
    """Make sure that features come from the embedders a classifier was trained on.

    Parameters
    ----------
    expected
        The classifier's, from its checkpoint.
    got
        The features'.

    Raises
    ------
    LayoutMismatch
        If an embedder, a width, the order or the weights differ; the message names both sides.
    """
    if expected == got:
        return
    difference = f"{expected}, but these features are {got}"
    if str(expected) == str(got):
        pairs = zip(expected.parts, got.parts, strict=True)
        name, theirs, ours = next(
            (a.name, a.fingerprint, b.fingerprint)
            for a, b in pairs
            if a.fingerprint != b.fingerprint
        )
        difference += (
            f" of other weights or policies: {name} has fingerprint {ours[:12]}, not {theirs[:12]}"
        )
    raise LayoutMismatch(
        f"the classifier was trained on {difference}; "
        f"extract features with the classifier's embedders, or train another classifier on these"
    )
