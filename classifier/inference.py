"""Probabilities per row, and per contig."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from classifier.blocks import Block, Blocks, Rows, as_rows
from classifier.devices import checked_device, cpu_threads
from classifier.errors import ClassifierError, LayoutMismatch
from classifier.training import TrainedClassifier

Probabilities = NDArray[np.float32]
"""Probability of viral for each row, ``(n,)``."""


def predict(
    trained: TrainedClassifier,
    blocks: Sequence[Block],
    *,
    rows: Sequence[int] | Rows | None = None,
    device: str = "cpu",
    threads: int = 1,
    progress: bool = False,
) -> Probabilities:
    """Return the probability of viral for each row.

    Parameters
    ----------
    trained
        From :func:`classifier.train` or :func:`classifier.load`.
    blocks
        float32 ``(n_i, d)``, as :func:`classifier.train` takes them; read in pieces, never put
        together.
    rows
        Rows to score, counted through all blocks; all by default.
    device
        Where to compute.
    threads
        Cores for each operation on a CPU; see :func:`classifier.train`.
    progress
        Show a bar on the terminal.

    Returns
    -------
    Probabilities
        float32, one per row asked, in the order asked: the second column of a softmax.

    Raises
    ------
    LayoutMismatch
        If the features are not as wide as the classifier's; where it is known which embedders made
        them, :func:`classifier.check_layout` says it better.
    ClassifierError
        If a probability is not a number; the message names the row.
    """
    place = checked_device(device)
    table = Blocks(blocks)
    if table.width != trained.width:
        raise LayoutMismatch(
            f"the classifier was trained on features {trained.width} wide, "
            f"these are {table.width} wide; use features of the embedders it was trained on"
        )
    chosen = as_rows(rows, table)
    model = trained.model().to(place)
    found = np.empty(len(chosen), dtype=np.float32)
    done = 0
    bar = tqdm(total=len(chosen), desc="predicting", unit=" row", disable=not progress, leave=False)
    with torch.inference_mode(), cpu_threads(threads), bar:
        for part, features in table.chunks(chosen):
            scores = torch.softmax(model(features.to(place)), dim=1)[:, 1].cpu().numpy()
            unsound = part[np.isnan(scores)]
            if unsound.size:
                raise ClassifierError(
                    f"row {unsound[0]} has no probability: its features hold NaN or infinity; "
                    f"extract it again, in bfloat16 or float32 if it was float16"
                )
            found[done : done + len(part)] = scores
            done += len(part)
            bar.update(len(part))
    model.to("cpu")
    return found


@dataclass(frozen=True, slots=True, eq=False)
class ContigScores:
    """One probability of viral for each contig, contigs in the order of their first row."""

    contigs: tuple[str, ...]
    probabilities: Probabilities


def contig_scores(contigs: Sequence[str], probabilities: Probabilities) -> ContigScores:
    """Give each contig the probability of its most confident frame.

    The published pipeline (github.com/Li-Jing-1997/VirNucPro, ``prediction.py``,
    ``determine_virus``) calls a contig viral if the largest viral score among its frames is at
    least the largest host score among them. That is the verdict of the frame whose probability
    lies furthest from one half, a tie going to viral; so that frame's probability is the contig's
    score, and ``score >= 0.5`` repeats the published verdict for every contig. It is not the
    largest viral probability: one frame at 0.6 does not outvote another at 0.01.

    Parameters
    ----------
    contigs
        Name of each row's contig, ``(n,)``, in any order.
    probabilities
        float32 ``(n,)``.

    Raises
    ------
    ClassifierError
        If the two differ in length.

    Examples
    --------
    >>> frames = np.array([0.6, 0.01, 0.7], dtype=np.float32)
    >>> contig_scores(["a", "a", "b"], frames).probabilities.tolist()
    [0.009999999776482582, 0.699999988079071]
    """
    if len(contigs) != len(probabilities):
        raise ClassifierError(f"{len(contigs)} contigs for {len(probabilities)} probabilities")
    number: dict[str, int] = {}
    contig_of = np.fromiter(
        (number.setdefault(name, len(number)) for name in contigs), np.int64, len(contigs)
    )
    highest = np.full(len(number), -np.inf, dtype=np.float32)
    lowest = np.full(len(number), np.inf, dtype=np.float32)
    np.maximum.at(highest, contig_of, probabilities)
    np.minimum.at(lowest, contig_of, probabilities)
    # in float64 one half is subtracted exactly, so a tie is a tie
    viral = highest.astype(np.float64) - 0.5 >= 0.5 - lowest.astype(np.float64)
    return ContigScores(tuple(number), np.where(viral, highest, lowest))
