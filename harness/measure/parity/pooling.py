"""Is a vector the mean over residues alone, without BOS, EOS and padding?"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from harness.measure.parity.agreement import WORST, agreement
from harness.measure.parity.states import Trace
from harness.results import ParityCheck

SHARE_LIMIT = 0.25


def pooling(
    vectors: torch.Tensor, reference: Sequence[Trace], *, arm: str, library: str, dtype: str
) -> tuple[ParityCheck, ParityCheck]:
    """Compare vectors with means over residues, recomputed from the other library's states.

    Parameters
    ----------
    vectors
        float32 ``(n, width)``, embedded together.
    reference
        The same sequences, each alone in the other library.

    Returns
    -------
    tuple[ParityCheck, ParityCheck]
        The means themselves, to the limit of the dtype; and :func:`end_tokens_share`, which finds
        BOS and EOS in the mean where rounding to half precision would hide them.
    """
    means = torch.stack([each.residues_mean for each in reference])
    every = torch.stack([each.all_tokens for each in reference])
    count = len(reference)
    return (
        agreement(
            vectors,
            means.float(),
            arm=arm,
            check="pooling",
            sentence=f"{count} vectors against means over residues of {library}'s states",
            dtype=dtype,
        ),
        ParityCheck(
            arm=arm,
            check="BOS and EOS",
            sentence=f"{count} vectors (0 none, 1 as much as of a residue): share of BOS and EOS",
            value=abs(end_tokens_share(vectors.double(), means, every)),
            limit=SHARE_LIMIT,
            at_least=False,
        ),
    )


def end_tokens_share(vectors: torch.Tensor, means: torch.Tensor, every: torch.Tensor) -> float:
    """Return how far vectors lie on the way from means over residues to means over all tokens.

    The least-squares factor over all rows: ``Σ (v - m)·(a - m) / Σ |a - m|²``. Rounding points in
    every direction and so hardly along this one.

    Parameters
    ----------
    vectors, means, every
        float64 ``(n, width)``.

    Returns
    -------
    float
        0 for means over residues, 1 for means over all tokens; ``WORST`` where it is no number.

    Examples
    --------
    >>> m, a = torch.tensor([[1.0, 0.0]]), torch.tensor([[2.0, 0.0]])
    >>> end_tokens_share(m, m, a), end_tokens_share(a, m, a)
    (0.0, 1.0)
    """
    way = every - means
    share = float(((vectors - means) * way).sum() / (way * way).sum().clamp_min(1e-30))
    return share if abs(share) < WORST else WORST
