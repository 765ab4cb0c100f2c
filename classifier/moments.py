"""What all rows say about each column, in one pass that holds few of them."""

from __future__ import annotations

import torch

from classifier.blocks import Blocks, Rows
from classifier.errors import ClassifierError

SLICE_ROWS = 256
"""Rows widened to float64 at once, so few that they stay in the processor's cache."""


def check_finite(table: Blocks, rows: Rows) -> None:
    """Read the rows.

    Raises
    ------
    ClassifierError
        If a feature is NaN or infinite; the message names the row.
    """
    for part, features in table.chunks(rows):
        _check_chunk(part, features)


def moments(table: Blocks, rows: Rows) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of each column over the rows, float32 ``(d,)``, in one pass.

    Means and squared deviations of slices are combined in float64 as in Chan, Golub and LeVeque
    (1983), which does not lose digits where the mean is large. A constant column gets scale 1.

    Raises
    ------
    ClassifierError
        If a feature is NaN or infinite; the message names the row.
    """
    seen = 0
    mean = torch.zeros(table.width, dtype=torch.float64)
    squares = torch.zeros(table.width, dtype=torch.float64)
    for part, features in table.chunks(rows):
        _check_chunk(part, features)
        for few in torch.split(features, SLICE_ROWS):
            wide = few.double()
            here = wide.mean(dim=0)
            gap = here - mean
            total = seen + len(few)
            squares += wide.sub_(here).square_().sum(dim=0)
            squares += gap.square() * (seen * len(few) / total)
            mean += gap * (len(few) / total)
            seen = total
    scale = (squares / seen).sqrt()
    # a column that never varies says nothing; dividing by rounding noise would make it loud
    flat = scale <= 1e-6 * mean.abs()
    return mean.float(), torch.where(flat, torch.ones_like(scale), scale).float()


def _check_chunk(part: Rows, features: torch.Tensor) -> None:
    # one that is no number makes its row's sum none; looking at each takes twenty times as long
    if bool(torch.isfinite(features.sum(dim=1)).all()):
        return
    sound = torch.isfinite(features).all(dim=1)
    if not bool(sound.all()):
        first = int(part[int(torch.argmin(sound.int()))])
        raise ClassifierError(
            f"row {first} of the features holds NaN or infinity; extract it again, in bfloat16 "
            f"or float32 if it was float16"
        )
